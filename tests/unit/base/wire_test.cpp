#include "base/wire.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mkimg {
namespace {

TEST(Wire, GivesBackWhatWasWritten) {
    const std::vector<std::string> list{"", "a", std::string("\0x", 2)};
    WireWriter writer;
    writer.number(0).number(UINT64_MAX).text("").text("text").texts(list).texts({});
    WireReader reader(writer.bytes());
    EXPECT_EQ(reader.number(), 0U);
    EXPECT_EQ(reader.number(), UINT64_MAX);
    EXPECT_EQ(reader.text(), "");
    EXPECT_EQ(reader.text(), "text");
    EXPECT_EQ(reader.texts(), list);
    EXPECT_TRUE(reader.texts().empty());
    EXPECT_TRUE(reader.at_end());
}

TEST(Wire, FormatIsFixed) {
    WireWriter writer;
    writer.number(0x0102030405060708).text("ab");
    EXPECT_EQ(writer.bytes(), std::string("\x08\x07\x06\x05\x04\x03\x02\x01\x02\0\0\0\0\0\0\0ab", 18));
}

// Cache keys rest on this.
TEST(Wire, DifferentFieldsNeverGiveTheSameBytes) {
    const auto bytes = [](std::vector<std::string> fields) {
        WireWriter writer;
        for (const std::string& field : fields) writer.text(field);
        return writer.bytes();
    };
    EXPECT_NE(bytes({"ab", "c"}), bytes({"a", "bc"}));
    EXPECT_NE(bytes({"a", ""}), bytes({"a"}));
    EXPECT_NE(bytes({"", "a"}), bytes({"a", ""}));
}

TEST(Wire, EveryTruncationThrows) {
    WireWriter writer;
    writer.number(7).text("text").texts(std::vector<std::string>{"a", "b"});
    const std::string& whole = writer.bytes();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        WireReader reader(std::string_view(whole).substr(0, size));
        EXPECT_THROW(
            {
                reader.number();
                reader.text();
                reader.texts();
            },
            Error)
            << size;
    }
}

TEST(Wire, HugeLengthsAllocateNothing) {
    WireWriter writer;
    writer.number(UINT64_MAX);
    EXPECT_THROW(WireReader(writer.bytes()).text(), Error);
    EXPECT_THROW(WireReader(writer.bytes()).texts(), Error);
}

}  // namespace
}  // namespace mkimg

#include "base/base64.h"

#include <gtest/gtest.h>

#include <array>
#include <utility>

namespace mkimg {
namespace {

// RFC 4648 section 10.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> vectors{{
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
}};

TEST(Base64, TheVectorsOfTheRfc) {
    for (const auto& [plain, coded] : vectors) {
        EXPECT_EQ(base64_encode(plain), coded);
        EXPECT_EQ(base64_decode(coded), plain);
    }
}

TEST(Base64, BytesOfAllKinds) {
    // printf '\000\377\376\373\360' | base64
    EXPECT_EQ(base64_encode(std::string_view("\0\xff\xfe\xfb\xf0", 5)), "AP/++/A=");
    EXPECT_EQ(base64_decode("AP/++/A="), std::string("\0\xff\xfe\xfb\xf0", 5));
}

TEST(Base64, RefusesWhatIsNotBase64) {
    for (const std::string_view text : {"Z", "Zg", "Zg=", "Zm9", "Zg===", "====", "=", "Zm9v=", "Zm9vZg=", "Z===",
                                        "Zg==Zg==", "Zm=v", "Zm9v\n", " Zm9v", "Zm-_", "Zm9v!!!!", "Zm\x009v"}) {
        EXPECT_EQ(base64_decode(text), std::nullopt) << text;
    }
}

TEST(Base64, RefusesBitsThatNoByteHolds) {
    EXPECT_EQ(base64_decode("Zh=="), std::nullopt);
    EXPECT_EQ(base64_decode("Zm9="), std::nullopt);
}

}  // namespace
}  // namespace mkimg

#include "base/text.h"

#include <gtest/gtest.h>

namespace mkimg {
namespace {

TEST(Printable, EscapesWhatSteersATerminal) {
    EXPECT_EQ(printable("plain \t text\n"), "plain \t text\n");
    EXPECT_EQ(printable("caf\xC3\xA9 \xE6\x97\xA5"), "caf\xC3\xA9 \xE6\x97\xA5");
    EXPECT_EQ(printable("\x1B[31m\x7F\r"), "\\x1b[31m\\x7f\\x0d");
    EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
    EXPECT_EQ(printable("\xC2\x9B"), "\\xc2\\x9b");           // CSI as one C1 control
    EXPECT_EQ(printable("\xE2\x80\xAE"), "\\xe2\\x80\\xae");  // right-to-left override
}

// RFC 3629, section 4, and the examples of section 10.
TEST(Printable, EscapesInvalidUtf8) {
    EXPECT_EQ(printable("\xFF"), "\\xff");
    EXPECT_EQ(printable("\xC0\x80"), "\\xc0\\x80");                    // overlong NUL
    EXPECT_EQ(printable("\xE0\x9F\xBF"), "\\xe0\\x9f\\xbf");           // overlong
    EXPECT_EQ(printable("\xED\xA0\x80"), "\\xed\\xa0\\x80");           // surrogate
    EXPECT_EQ(printable("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // over U+10FFFF
    EXPECT_EQ(printable("\xE2\x82"), "\\xe2\\x82");                    // cut off
    EXPECT_EQ(printable("\xF4\x8F\xBF\xBF"), "\xF4\x8F\xBF\xBF");      // U+10FFFF itself
}

TEST(DisplayWidth, CountsColumns) {
    EXPECT_EQ(display_width(""), 0U);
    EXPECT_EQ(display_width("abc"), 3U);
    EXPECT_EQ(display_width("caf\xC3\xA9"), 4U);
    EXPECT_EQ(display_width("\xE6\x97\xA5\xE6\x9C\xAC"), 4U);  // two wide characters
    EXPECT_EQ(display_width("e\xCC\x81"), 1U);                 // a combining accent takes none
}

TEST(Split, KeepsEmptyParts) {
    EXPECT_EQ(split("", ','), (std::vector<std::string>{""}));
    EXPECT_EQ(split("a,,b,", ','), (std::vector<std::string>{"a", "", "b", ""}));
    EXPECT_EQ(join(split("a,,b,", ','), ","), "a,,b,");
    EXPECT_EQ(join({}, ","), "");
}

TEST(Trim, TakesBlanksOffBothEnds) {
    EXPECT_EQ(trim(" \t\r\n a b \v\f"), "a b");
    EXPECT_EQ(trim(" \n "), "");
    EXPECT_EQ(trim(""), "");
}

TEST(Case, IsAsciiAlone) {
    EXPECT_EQ(to_lower("AZ az 09 \xC3\x89"), "az az 09 \xC3\x89");
    EXPECT_EQ(to_upper("AZ az 09 \xC3\xA9"), "AZ AZ 09 \xC3\xA9");
}

TEST(Nearest, FindsTyposAndNothingFarther) {
    const std::vector<std::string> words{"build", "prune", "inspect", "images"};
    EXPECT_EQ(nearest("biuld", words), "build");
    EXPECT_EQ(nearest("insepct", words), "inspect");
    EXPECT_EQ(nearest("prun", words), "prune");
    EXPECT_EQ(nearest("image", words), "images");
    EXPECT_EQ(nearest("xyzzy", words), std::nullopt);
    EXPECT_EQ(nearest("build", {}), std::nullopt);
}

TEST(ParseU64, TakesDigitsAlone) {
    EXPECT_EQ(parse_u64("0"), 0U);
    EXPECT_EQ(parse_u64("18446744073709551615"), UINT64_MAX);
    for (const char* bad : {"", "18446744073709551616", "+1", "-1", " 1", "1 ", "0x10", "1.0", "1e3"}) {
        EXPECT_EQ(parse_u64(bad), std::nullopt) << bad;
    }
}

TEST(HumanSize, RoundsToOneDigit) {
    EXPECT_EQ(human_size(0), "0 B");
    EXPECT_EQ(human_size(1023), "1023 B");
    EXPECT_EQ(human_size(1024), "1.0 KiB");
    EXPECT_EQ(human_size(1536), "1.5 KiB");
    EXPECT_EQ(human_size(1048575), "1.0 MiB");  // not "1024.0 KiB"
    EXPECT_EQ(human_size(5ULL << 30U), "5.0 GiB");
    EXPECT_EQ(human_size(UINT64_MAX), "16.0 EiB");
}

TEST(HumanDuration, TurnsToMinutes) {
    EXPECT_EQ(human_duration(0.416), "0.42 s");
    EXPECT_EQ(human_duration(185), "3 min 05 s");
    EXPECT_EQ(human_duration(59.999), "1 min 00 s");  // not "60.00 s"
}

// Values from `date -u -d @N +%FT%TZ`.
TEST(Rfc3339, WritesUtc) {
    EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00Z");
    EXPECT_EQ(rfc3339(1704164645), "2024-01-02T03:04:05Z");
    EXPECT_EQ(rfc3339(-1), "1969-12-31T23:59:59Z");
    EXPECT_EQ(rfc3339(-62135596800), "0001-01-01T00:00:00Z");  // Go's zero time
}

TEST(Rfc3339, ReadsWhatOthersWrite) {
    EXPECT_EQ(parse_rfc3339("2024-01-02T03:04:05Z"), 1704164645);
    EXPECT_EQ(parse_rfc3339("2024-01-02T03:04:05z"), 1704164645);
    EXPECT_EQ(parse_rfc3339("2024-01-02T03:04:05.987654321Z"), 1704164645);
    EXPECT_EQ(parse_rfc3339("2024-01-02T05:34:05+02:30"), 1704164645);
    EXPECT_EQ(parse_rfc3339("2024-01-01T20:04:05-07:00"), 1704164645);
    EXPECT_EQ(parse_rfc3339("0001-01-01T00:00:00Z"), -62135596800);
    EXPECT_EQ(parse_rfc3339("2024-02-29T00:00:00Z"), 1709164800);
}

TEST(Rfc3339, RefusesWhatIsNoTime) {
    for (const char* bad :
         {"", "2024-01-02", "2024-01-02T03:04:05", "2024-01-02 03:04:05Z", "2024-01-02T03:04:05.Z",
          "2024-01-02T03:04:05Zjunk", " 2024-01-02T03:04:05Z", "2024-1-2T03:04:05Z", "2024-02-31T00:00:00Z",
          "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-02T24:00:00Z", "2024-01-02T03:04:05+2:30",
          "2024-01-02T03:04:05+24:00", "2024-01-02T03:04:05+02:60", "yesterday"}) {
        EXPECT_EQ(parse_rfc3339(bad), std::nullopt) << bad;
    }
    EXPECT_EQ(parse_rfc3339(std::string_view("2024-01-02T03:04:05Z\0x", 22)), std::nullopt);
}

}  // namespace
}  // namespace mkimg

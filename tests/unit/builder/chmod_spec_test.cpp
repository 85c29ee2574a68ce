#include "builder/chmod_spec.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mkimg::builder {
namespace {

struct Case {
    const char* spec;
    std::uint32_t mode;
    bool is_directory;
    std::uint32_t expected;  // as chmod(1) with umask 0 does it
};

class ChmodSpecTest : public ::testing::TestWithParam<Case> {};

TEST_P(ChmodSpecTest, GivesTheModeThatChmodGives) {
    const Case& c = GetParam();
    EXPECT_EQ(ChmodSpec::parse(c.spec).apply(c.mode, c.is_directory), c.expected) << c.spec;
}

INSTANTIATE_TEST_SUITE_P(Specs, ChmodSpecTest,
                         ::testing::Values(Case{"755", 0600, false, 0755}, Case{"0", 0777, false, 0},
                                           Case{"0644", 0777, true, 0644}, Case{"4755", 0644, false, 04755},
                                           Case{"u=rwX,go=rX", 0600, false, 0644},
                                           Case{"u=rwX,go=rX", 0700, false, 0755},
                                           Case{"u=rwX,go=rX", 0600, true, 0755}, Case{"+x", 0644, false, 0755},
                                           Case{"a-w", 0666, false, 0444}, Case{"u+s", 0755, false, 04755},
                                           Case{"g+s,o-rwx", 0755, true, 02750}, Case{"+t", 0777, true, 01777},
                                           Case{"g=u", 0640, false, 0660}, Case{"go=", 0777, false, 0700},
                                           Case{"u=rwx,g=u,o=g", 0000, false, 0777}, Case{"o=u-w", 0700, false, 0705},
                                           Case{"ug=rw,o=", 0755, false, 0660}, Case{"-X", 0755, false, 0644},
                                           Case{"u=,u+r", 04755, false, 0455}));

TEST(ChmodSpecTest, RefusesWhatIsNoMode) {
    for (const char* bad : {"", "8", "755x", "77777", "rwx", "u", "u=rwz", "=r,", ",", "a:r"}) {
        try {
            ChmodSpec::parse(bad);
            FAIL() << "'" << bad << "' was taken";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::recipe) << bad;
            EXPECT_NE(error.message().find("--chmod="), std::string::npos);
        }
    }
}

}  // namespace
}  // namespace mkimg::builder

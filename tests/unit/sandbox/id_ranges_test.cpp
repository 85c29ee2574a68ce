#include "sandbox/id_ranges.h"

#include <gmock/gmock.h>

namespace mkimg::sandbox {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* file =
    "# comment\n"
    "alice:100000:65536\n"
    "bob:165536:65536\n"
    "1000:300000:10\n"
    "alice:400000:5\n"
    "alice:bad:5\n"
    "alice:500000:0\n"
    "alice:4294967295:2\n"
    "alice:1\n";

TEST(IdRanges, ByNameAndByNumber) {
    EXPECT_THAT(parse_id_ranges(file, "alice", 7), ElementsAre(IdRange{100000, 65536}, IdRange{400000, 5}));
    EXPECT_THAT(parse_id_ranges(file, "alice", 1000),
                ElementsAre(IdRange{100000, 65536}, IdRange{300000, 10}, IdRange{400000, 5}));
    EXPECT_THAT(parse_id_ranges(file, "ali", 1), IsEmpty());
    EXPECT_THAT(parse_id_ranges("", "alice", 1), IsEmpty());
}

TEST(IdRanges, FirstFree) {
    EXPECT_EQ(first_free_id("", ""), 100000U);
    EXPECT_EQ(first_free_id(file, ""), 400005U);
    EXPECT_EQ(first_free_id("a:1000:10\n", "b:100000:65536\n"), 165536U);
}

TEST(IdRanges, MapArguments) {
    // newuidmap PID 0 1000 1 1 100000 65536 65537 400000 5
    EXPECT_THAT(map_arguments(1000, {{100000, 65536}, {400000, 5}}),
                ElementsAre("0", "1000", "1", "1", "100000", "65536", "65537", "400000", "5"));
}

}  // namespace
}  // namespace mkimg::sandbox

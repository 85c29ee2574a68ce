// /etc/subuid and /etc/subgid: which host numbers a user may give out in a user namespace.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mkimg::sandbox {

struct IdRange {
    std::uint64_t start = 0;
    std::uint64_t count = 0;
    bool operator==(const IdRange&) const = default;
};

// The ranges of lines "OWNER:START:COUNT" whose owner is `name` or the number `uid`, in the file's
// order. Lines that are no such thing are passed over, as newuidmap does.
std::vector<IdRange> parse_id_ranges(std::string_view file, std::string_view name, std::uint64_t uid);

// The lowest start from 100000 on that no line of either file reaches.
std::uint64_t first_free_id(std::string_view subuid, std::string_view subgid);

// What newuidmap and newgidmap take after the process: the user's own number as 0, then the ranges.
std::vector<std::string> map_arguments(std::uint64_t own, const std::vector<IdRange>& ranges);

}  // namespace mkimg::sandbox

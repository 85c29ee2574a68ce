#include "sandbox/id_ranges.h"

#include <algorithm>
#include <functional>

#include "base/text.h"

namespace mkimg::sandbox {
namespace {

void for_each_line(std::string_view file, const std::function<void(const std::string& owner, const IdRange&)>& use) {
    for (const std::string& line : split(file, '\n')) {
        const auto fields = split(line, ':');
        if (fields.size() != 3) continue;
        const auto start = parse_u64(fields[1]);
        const auto count = parse_u64(fields[2]);
        constexpr std::uint64_t ids = 1ULL << 32U;
        if (start && count && *count != 0 && *start < ids && *count <= ids - *start) use(fields[0], {*start, *count});
    }
}

}  // namespace

std::vector<IdRange> parse_id_ranges(std::string_view file, std::string_view name, std::uint64_t uid) {
    std::vector<IdRange> ranges;
    const std::string number = std::to_string(uid);
    for_each_line(file, [&](const std::string& owner, const IdRange& range) {
        if (owner == name || owner == number) ranges.push_back(range);
    });
    return ranges;
}

std::uint64_t first_free_id(std::string_view subuid, std::string_view subgid) {
    std::uint64_t free = 100000;
    for (const std::string_view file : {subuid, subgid}) {
        for_each_line(
            file, [&](const std::string&, const IdRange& range) { free = std::max(free, range.start + range.count); });
    }
    return free;
}

std::vector<std::string> map_arguments(std::uint64_t own, const std::vector<IdRange>& ranges) {
    std::vector<std::string> arguments = {"0", std::to_string(own), "1"};
    std::uint64_t inside = 1;
    for (const IdRange& range : ranges) {
        for (const std::uint64_t value : {inside, range.start, range.count}) arguments.push_back(std::to_string(value));
        inside += range.count;
    }
    return arguments;
}

}  // namespace mkimg::sandbox

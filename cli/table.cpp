#include "cli/table.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "base/text.h"

namespace mkimg::cli {

std::string Table::str() const {
    std::vector<std::size_t> widths(rows_.front().size());
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], display_width(printable(row[i])));
        }
    }
    std::string text;
    for (const auto& row : rows_) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string cell = printable(row[i]);
            line += cell + std::string(widths[i] - display_width(cell) + 3, ' ');
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

std::string ago(std::int64_t unix_seconds) {
    struct Unit {
        std::int64_t seconds;
        const char* name;
    };
    constexpr std::array units{Unit{365 * 86400, "year"}, Unit{30 * 86400, "month"}, Unit{7 * 86400, "week"},
                               Unit{86400, "day"},        Unit{3600, "hour"},        Unit{60, "minute"}};
    const std::int64_t passed = std::time(nullptr) - unix_seconds;
    for (const auto& unit : units) {
        const std::int64_t count = passed / unit.seconds;
        if (count > 0) return std::to_string(count) + " " + unit.name + (count > 1 ? "s" : "") + " ago";
    }
    return passed < 0 ? "in the future" : "seconds ago";
}

}  // namespace mkimg::cli

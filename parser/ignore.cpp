#include "parser/ignore.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "parser/glob.h"
#include "parser/utf8.h"

namespace mkimg::parser {
namespace {

// As Go's filepath.Clean: no empty, `.` and inner `..` components.
std::string clean(std::string_view path) {
    const bool rooted = path.starts_with('/');
    std::vector<std::string> kept;
    for (std::string& part : split(path, '/')) {
        if (part.empty() || part == ".") continue;
        if (part == ".." && !kept.empty() && kept.back() != "..") {
            kept.pop_back();
        } else if (part != ".." || !rooted) {
            kept.push_back(std::move(part));
        }
    }
    const std::string joined = join(kept, "/");
    if (rooted) return "/" + joined;
    return joined.empty() ? "." : joined;
}

struct Rule {
    IgnorePattern pattern;
    bool brings_back;
    Glob glob;
};

std::string_view take_line(std::string_view& text) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return line;
}

// Nothing for a line without a pattern.
std::optional<Rule> parse_line(std::string_view line, std::uint32_t number) {
    if (line.starts_with('#')) return std::nullopt;
    const std::string_view written = trim(line);
    if (written.empty()) return std::nullopt;
    const bool brings_back = written.starts_with('!');
    const std::string_view body = brings_back ? trim(written.substr(1)) : written;
    std::string pattern = body.empty() ? "" : clean(body);
    if (brings_back && (pattern.empty() || pattern == "/")) {
        throw Error(ErrorCode::recipe, "a ! without a pattern", "write !PATTERN, or remove the line");
    }
    if (pattern.size() > 1 && pattern.starts_with('/')) pattern.erase(0, 1);
    return Rule{{std::string(written), number}, brings_back, Glob(pattern, Glob::Syntax::ignore)};
}

}  // namespace

struct IgnoreRules::Rules {
    std::vector<Rule> list;

    // The last rule that matches; later rules win.
    const Rule* deciding(std::u32string_view path) const {
        const auto found = std::find_if(list.rbegin(), list.rend(),
                                        [&](const Rule& rule) { return rule.glob.matches_or_parent(path); });
        return found == list.rend() ? nullptr : &*found;
    }
};

IgnoreRules::IgnoreRules() : rules_(std::make_unique<Rules>()) {}
IgnoreRules::IgnoreRules(IgnoreRules&&) noexcept = default;
IgnoreRules& IgnoreRules::operator=(IgnoreRules&&) noexcept = default;
IgnoreRules::~IgnoreRules() = default;

IgnoreRules IgnoreRules::parse(std::string_view text, std::string_view file) {
    IgnoreRules rules;
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    for (std::uint32_t number = 1; !text.empty(); ++number) {
        const std::string_view line = take_line(text);
        try {
            if (auto rule = parse_line(line, number)) rules.rules_->list.push_back(std::move(*rule));
        } catch (Error& error) {
            const std::string_view written = trim(line);
            const auto column = static_cast<std::uint32_t>(written.data() - line.data()) + 1;
            const auto end = column + static_cast<std::uint32_t>(written.size());
            const std::string_view excerpt = line.substr(0, line.find_last_not_of('\r') + 1);
            throw std::move(error.set_where({std::string(file), number, column, number, end, std::string(excerpt)}));
        }
    }
    return rules;
}

bool IgnoreRules::empty() const noexcept {
    return rules_->list.empty();
}

bool IgnoreRules::ignored(std::string_view path) const {
    const Rule* rule = rules_->deciding(decode_utf8(path));
    return rule != nullptr && !rule->brings_back;
}

std::optional<IgnorePattern> IgnoreRules::deciding_pattern(std::string_view path) const {
    const Rule* rule = rules_->deciding(decode_utf8(path));
    return rule != nullptr ? std::optional(rule->pattern) : std::nullopt;
}

bool IgnoreRules::may_contain_included(std::string_view directory) const {
    const std::u32string path = decode_utf8(directory);
    const Rule* rule = rules_->deciding(path);
    if (rule == nullptr || rule->brings_back) return true;
    // Only a later rule can overrule the one that ignores the directory and all below it.
    const auto later = rules_->list.begin() + (rule - rules_->list.data()) + 1;
    return std::any_of(later, rules_->list.end(),
                       [&](const Rule& next) { return next.brings_back && next.glob.can_match_below(path); });
}

}  // namespace mkimg::parser

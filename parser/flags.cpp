#include "parser/flags.h"

#include <algorithm>
#include <set>

#include "base/text.h"

namespace mkimg::parser {
namespace {

enum class Kind { value, values, boolean };

struct Known {
    std::string name;
    Kind kind;
};

const std::vector<Known>& flags_of(Keyword keyword) {
    static const std::vector<Known> none;
    static const std::vector<Known> from = {{"platform", Kind::value}};
    static const std::vector<Known> run = {
        {"mount", Kind::values}, {"network", Kind::value}, {"security", Kind::value}};
    static const std::vector<Known> copy = {{"from", Kind::value},      {"chown", Kind::value},
                                            {"chmod", Kind::value},     {"link", Kind::boolean},
                                            {"parents", Kind::boolean}, {"exclude", Kind::values}};
    static const std::vector<Known> add = {
        {"chown", Kind::value},    {"chmod", Kind::value},          {"link", Kind::boolean},  {"checksum", Kind::value},
        {"unpack", Kind::boolean}, {"keep-git-dir", Kind::boolean}, {"exclude", Kind::values}};
    static const std::vector<Known> healthcheck = {{"interval", Kind::value},
                                                   {"timeout", Kind::value},
                                                   {"start-period", Kind::value},
                                                   {"start-interval", Kind::value},
                                                   {"retries", Kind::value}};
    switch (keyword) {
        case Keyword::from: return from;
        case Keyword::run: return run;
        case Keyword::copy: return copy;
        case Keyword::add: return add;
        case Keyword::healthcheck: return healthcheck;
        default: return none;
    }
}

// The flag as far as its `=`.
Span name_part(const HeaderFlag& flag) {
    return flag.where.sub(flag.where.text.substr(0, flag.where.text.find('=')));
}

void report_unknown(Keyword keyword, const HeaderFlag& flag, const Report& report) {
    const std::string instruction(name_of(keyword));
    std::vector<std::string> names;
    for (const Known& known : flags_of(keyword)) names.push_back(known.name);
    std::string hint;
    if (const auto near = flag.name.size() <= 32 ? nearest(flag.name, names) : std::nullopt) {
        hint = "did you mean --" + *near + "?";
    } else if (names.empty()) {
        hint = instruction + " takes no flags; put -- before an argument that begins with --";
    } else {
        hint = instruction + " takes --" + join(names, ", --");
    }
    report(name_part(flag), "unknown flag: --" + flag.name, hint);
}

}  // namespace

void check_flags(Keyword keyword, const std::vector<HeaderFlag>& flags, const Report& report) {
    const std::vector<Known>& table = flags_of(keyword);
    std::set<std::string> seen;
    for (const HeaderFlag& flag : flags) {
        const auto known =
            std::find_if(table.begin(), table.end(), [&](const Known& entry) { return entry.name == flag.name; });
        if (known == table.end()) {
            report_unknown(keyword, flag, report);
            continue;
        }
        if (!seen.insert(flag.name).second && known->kind != Kind::values) {
            report(name_part(flag), "duplicate flag specified: --" + flag.name, "give it once");
        }
        if (known->kind == Kind::boolean) {
            const std::string value = to_lower(flag.value.value_or("true"));
            if (value != "true" && value != "false") {
                report(flag.where,
                       "expecting boolean value for flag --" + flag.name + ", not: " + flag.value.value_or(""),
                       "write --" + flag.name + ", or --" + flag.name + "=false");
            }
        } else if (!flag.value) {
            report(flag.where, "missing a value on flag: --" + flag.name, "write --" + flag.name + "=VALUE");
        }
    }
}

}  // namespace mkimg::parser

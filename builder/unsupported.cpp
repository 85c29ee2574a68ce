#include "builder/unsupported.h"

#include <array>

#include "base/text.h"

namespace mkimg::builder {
namespace {

struct Feature {
    parser::Keyword keyword;
    std::string_view flag;
};

constexpr std::array<Feature, 9> features = {{
    {parser::Keyword::run, "mount"},
    {parser::Keyword::copy, "link"},
    {parser::Keyword::copy, "parents"},
    {parser::Keyword::copy, "exclude"},
    {parser::Keyword::add, "link"},
    {parser::Keyword::add, "checksum"},
    {parser::Keyword::add, "keep-git-dir"},
    {parser::Keyword::add, "unpack"},
    {parser::Keyword::add, "exclude"},
}};

Error not_supported(const std::string& what, const SourceRange& where) {
    return Error(ErrorCode::unsupported, what + " is not supported yet").set_where(where);
}

bool is_git(std::string_view source) {
    return source.starts_with("git@") || source.starts_with("git://") || source.starts_with("ssh://");
}

bool is_url(std::string_view source) {
    return source.starts_with("http://") || source.starts_with("https://");
}

}  // namespace

std::vector<Error> unsupported_features(const parser::Instruction& line) {
    std::vector<Error> faults;
    const std::string keyword(parser::name_of(line.keyword));
    for (const parser::Flag& flag : line.flags) {
        for (const Feature& feature : features) {
            if (feature.keyword == line.keyword && feature.flag == flag.name && flag.value != "false") {
                faults.push_back(not_supported(keyword + " --" + flag.name, flag.where));
            }
        }
        if (line.keyword == parser::Keyword::run && flag.name == "security" && flag.value != "sandbox") {
            faults.push_back(not_supported("RUN --security=" + flag.value.value_or(""), flag.where));
        }
        if (line.keyword == parser::Keyword::run && flag.name == "network" && flag.value != "default" &&
            flag.value != "none" && flag.value != "host") {
            faults.push_back(Error(ErrorCode::recipe, "RUN --network=" + flag.value.value_or("") + ": unknown mode",
                                   "use default, none or host")
                                 .set_where(flag.where));
        }
    }
    if (line.keyword == parser::Keyword::add) {
        for (std::size_t i = 0; i + 1 < line.arguments.size(); ++i) {
            const std::string& source = line.arguments[i];
            const SourceRange& where = i < line.argument_ranges.size() ? line.argument_ranges[i] : line.where;
            if (is_git(source) || (is_url(source) && source.find(".git") != std::string::npos)) {
                faults.push_back(not_supported("ADD of a git repository", where));
            } else if (is_url(source)) {
                faults.push_back(not_supported("ADD of a URL", where));
            }
        }
    }
    return faults;
}

}  // namespace mkimg::builder

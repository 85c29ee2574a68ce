#include "parser/keyword.h"

#include <array>
#include <vector>

#include "base/text.h"

namespace mkimg::parser {
namespace {

// In the order of the enum.
constexpr std::array<std::string_view, 18> names = {
    "FROM",       "RUN",    "CMD",  "LABEL",   "MAINTAINER", "EXPOSE",  "ENV",        "ADD",         "COPY",
    "ENTRYPOINT", "VOLUME", "USER", "WORKDIR", "ARG",        "ONBUILD", "STOPSIGNAL", "HEALTHCHECK", "SHELL",
};

}  // namespace

std::string_view name_of(Keyword keyword) noexcept {
    return names[static_cast<std::size_t>(keyword)];
}

std::optional<Keyword> keyword_of(std::string_view word) {
    const std::string upper = to_upper(word);
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (names[i] == upper) return static_cast<Keyword>(i);
    }
    return std::nullopt;
}

std::optional<std::string> nearest_keyword(std::string_view word) {
    static const std::vector<std::string> candidates(names.begin(), names.end());
    if (word.size() > 32) return std::nullopt;
    return nearest(to_upper(word), candidates);
}

}  // namespace mkimg::parser

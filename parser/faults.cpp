#include "parser/faults.h"

#include <algorithm>
#include <tuple>

namespace mkimg::parser {
namespace {

constexpr std::size_t max_faults = 100;

}  // namespace

void Faults::add(SourceRange where, std::string message, std::string hint) {
    if (errors_.size() > max_faults) return;
    Error error(ErrorCode::recipe, std::move(message), std::move(hint));
    if (errors_.size() == max_faults) error = Error(ErrorCode::recipe, "too many errors; the rest is not shown");
    errors_.push_back(std::move(error.set_where(source_.with_excerpt(std::move(where)))));
}

std::vector<Error> Faults::take() {
    std::stable_sort(errors_.begin(), errors_.end(), [](const Error& a, const Error& b) {
        return std::tie(a.where()->line, a.where()->column) < std::tie(b.where()->line, b.where()->column);
    });
    return std::move(errors_);
}

}  // namespace mkimg::parser

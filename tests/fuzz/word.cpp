// Any bytes expand or get an Error. What the check without values refuses never expands.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "base/error.h"
#include "parser/expand.h"

namespace {

using namespace mkimg;
using namespace mkimg::parser;

std::optional<std::string> look_up(std::string_view name) {
    if (name == "A") return "a/b.c:d";
    if (name == "B") return "";
    if (name == "C") return "ccccé*?\xff";
    return std::nullopt;
}

// Whether it expanded.
template <typename Use>
bool expands(Use use) {
    try {
        use();
        return true;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::recipe || error.message().empty()) std::abort();
        return false;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    std::string_view word(reinterpret_cast<const char*>(data), size);
    std::set<std::string> unset;
    ExpandOptions options{
        .escape = (data[0] & 1U) != 0 ? '`' : '\\', .keep_quotes = (data[0] & 2U) != 0, .unset = &unset};
    word.remove_prefix(1);
    const auto fault = word_fault(word, options.escape);
    if (fault && fault->offset > word.size()) std::abort();
    const bool whole = expands([&] { expand(word, look_up, options); });
    const bool split = expands([&] { expand_words(word, look_up, options); });
    if (whole != split || (fault && whole)) std::abort();
    expands([&] { expand_heredoc(word, look_up, options); });
    return 0;
}

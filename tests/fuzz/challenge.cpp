// Any bytes parse. What comes out is well-formed, and reads the same when it is written down again.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "registry/challenge.h"

namespace {

using namespace mkimg::registry;

bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return c > 0x20 && c < 0x7f && std::string_view("\"(),/:;<=>?@[\\]{}").find(c) == std::string_view::npos;
    });
}

bool is_lower(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

void check(const Challenge& challenge) {
    if (!is_token(challenge.scheme) || !is_lower(challenge.scheme)) std::abort();
    if (!challenge.token68.empty() && !challenge.parameters.empty()) std::abort();
    for (const auto& [name, value] : challenge.parameters) {
        if (!is_token(name) || !is_lower(name)) std::abort();
        if (std::any_of(value.begin(), value.end(),
                        [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; })) {
            std::abort();
        }
    }
}

std::string write(const std::vector<Challenge>& challenges) {
    std::string out;
    for (const auto& challenge : challenges) {
        out += (out.empty() ? "" : ", ") + challenge.scheme + " " + challenge.token68;
        const char* separator = "";
        for (const auto& [name, value] : challenge.parameters) {
            out += separator + name + "=\"";
            for (const char c : value) {
                if (c == '"' || c == '\\') out += '\\';
                out += c;
            }
            out += '"';
            separator = ", ";
        }
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::array<std::string_view, 1> value{{{reinterpret_cast<const char*>(data), size}}};
    const auto challenges = parse_challenges(value);
    for (const auto& challenge : challenges) check(challenge);
    const std::string written = write(challenges);
    const std::array<std::string_view, 1> again{{written}};
    const auto repeated = parse_challenges(again);
    const bool same =
        std::equal(challenges.begin(), challenges.end(), repeated.begin(), repeated.end(),
                   [](const Challenge& a, const Challenge& b) {
                       return a.scheme == b.scheme && a.parameters == b.parameters && a.token68 == b.token68;
                   });
    if (!same) std::abort();
    return 0;
}

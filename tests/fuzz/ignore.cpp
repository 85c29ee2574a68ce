// The first line is a path, the rest an ignore file. What the walk may skip holds nothing that is
// not ignored.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "parser/ignore.h"

namespace {

using namespace mkimg;
using namespace mkimg::parser;

void check(const IgnoreRules& rules, std::string_view path) {
    const bool ignored = rules.ignored(path);
    const auto pattern = rules.deciding_pattern(path);
    if (ignored != (pattern && !pattern->text.starts_with('!'))) std::abort();
    for (std::size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1)) {
        if (!rules.may_contain_included(path.substr(0, slash)) && !ignored) std::abort();
    }
}

// As the walk of a context makes them: no empty, `.` or `..` components.
bool is_clean(std::string_view path) {
    const std::string framed = "/" + std::string(path) + "/";
    for (const char* part : {"//", "/./", "/../"}) {
        if (framed.find(part) != std::string::npos) return false;
    }
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::size_t end = text.find('\n');
    const std::string_view path = text.substr(0, end);
    const std::string_view rest = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    try {
        const IgnoreRules rules = IgnoreRules::parse(rest, ".dockerignore");
        if (is_clean(path)) check(rules, path);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::recipe || render(error).empty()) std::abort();
    }
    try {
        glob_match(rest, path);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::recipe || error.message().empty()) std::abort();
    }
    return 0;
}

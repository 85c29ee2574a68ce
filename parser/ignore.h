// .dockerignore: which paths of the context the build can see.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mkimg::parser {

struct IgnorePattern {
    std::string text;  // as written
    std::uint32_t line;
};

class IgnoreRules {
  public:
    IgnoreRules();  // ignores nothing
    IgnoreRules(IgnoreRules&&) noexcept;
    IgnoreRules& operator=(IgnoreRules&&) noexcept;
    ~IgnoreRules();

    // Throws Error(recipe) with file and line for a malformed pattern.
    static IgnoreRules parse(std::string_view text, std::string_view file);

    bool empty() const noexcept;
    // `path` is relative to the context without a leading slash. Parents' verdicts are taken into
    // account: a file below an ignored directory is ignored unless a later `!` brings it back.
    bool ignored(std::string_view path) const;
    // The pattern that decided, for error messages; nothing where none matched.
    std::optional<IgnorePattern> deciding_pattern(std::string_view path) const;
    // False where `directory` is ignored and no `!` pattern can match below it: the walk need not
    // enter it.
    bool may_contain_included(std::string_view directory) const;

  private:
    struct Rules;
    std::unique_ptr<Rules> rules_;
};

// Go's filepath.Match: *, ?, [set], escapes; `*` and `?` don't match '/'. Throws Error(recipe)
// where the pattern is malformed.
bool glob_match(std::string_view pattern, std::string_view path);
bool has_glob(std::string_view pattern);

}  // namespace mkimg::parser

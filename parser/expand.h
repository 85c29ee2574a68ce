// Word expansion of the Dockerfile language: $v ${v} and all modifiers, quotes, escapes.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace mkimg::parser {

// Looks a variable up; nothing means unset.
using Lookup = std::function<std::optional<std::string>(std::string_view name)>;

struct ExpandOptions {
    char escape = '\\';
    // Keep quotes and escapes in the result (for values that a shell reads later).
    bool keep_quotes = false;
    // Where not null, receives the names that were looked up and unset (for UndefinedVar).
    std::set<std::string>* unset = nullptr;
};

// One word; quotes are removed. Throws Error(recipe) (bad substitution, ${v:?message}) with a
// message but no place: the caller adds that.
std::string expand(std::string_view word, const Lookup& lookup, const ExpandOptions& options = {});

// Expands, then splits at unquoted blanks, for EXPOSE, VOLUME and the like.
std::vector<std::string> expand_words(std::string_view text, const Lookup& lookup, const ExpandOptions& options = {});

// A heredoc's body: variables are replaced, quotes stand, `\$` is a plain dollar.
std::string expand_heredoc(std::string_view text, const Lookup& lookup, const ExpandOptions& options = {});

// What is wrong with a word whatever the values of its variables: an open quote, a bad substitution.
struct WordFault {
    std::size_t offset;  // where in the word
    std::string message;
    std::string hint;
};
std::optional<WordFault> word_fault(std::string_view word, char escape);

}  // namespace mkimg::parser

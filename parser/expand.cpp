#include "parser/expand.h"

#include "base/error.h"
#include "parser/word_pattern.h"

namespace mkimg::parser {
namespace {

// A value longer than any the kernel takes; a recipe that doubles a variable line by line meets it
// long before it costs memory.
constexpr std::size_t max_value = 8U << 20U;
constexpr int max_depth = 100;

bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_name(char c) {
    return c == '_' || is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
// The shell's special parameters. They are never set here, so `$$` and `$@` vanish.
bool is_special(char c) {
    return std::string_view("@*#?-$!").find(c) != std::string_view::npos;
}

// Splits while the text is made: what stood in quotes or was escaped never splits.
class WordList {
  public:
    void add(char c) {
        if (is_space(c)) {
            finish_word();
        } else {
            word_ += c;
        }
    }
    void add(std::string_view text) {
        for (const char c : text) add(c);
    }
    void add_unsplit(std::string_view text) { word_ += text; }
    std::vector<std::string> take() {
        finish_word();
        return std::move(words_);
    }

  private:
    void finish_word() {
        if (!word_.empty()) words_.push_back(std::move(word_));
        word_.clear();
    }

    std::string word_;
    std::vector<std::string> words_;
};

class Lexer {
  public:
    // Without a lookup only the syntax is checked: every variable is unknown and nothing depends on it.
    Lexer(std::string_view source, const Lookup* lookup, const ExpandOptions& options, bool quotes_stand = false)
        : source_(source),
          lookup_(lookup),
          options_(options),
          quotes_stand_(quotes_stand),
          raw_escapes_(options.keep_quotes) {}

    std::string run(WordList* words = nullptr) { return text_until(std::nullopt, 0, options_.keep_quotes, words); }
    // Where the construct began that made run() throw.
    std::size_t fault_offset() const noexcept { return fault_; }

  private:
    bool at_end() const noexcept { return at_ == source_.size(); }
    char peek() const noexcept { return source_[at_]; }
    char next() noexcept { return source_[at_++]; }

    [[noreturn]] void fail(std::size_t at, const std::string& message, const std::string& hint = {}) {
        fault_ = at;
        throw Error(ErrorCode::recipe, message, hint);
    }

    void limit(std::size_t begin, std::size_t size) {
        if (size > max_value) fail(begin, "the value is longer than 8 MiB");
    }

    // Up to `stop`, which ends the substitution that began at `opened`, or up to the end of the word.
    std::string text_until(std::optional<char> stop, std::size_t opened, bool raw_escapes, WordList* words = nullptr) {
        const bool raw_before = raw_escapes_;
        raw_escapes_ = raw_escapes;
        std::string result;
        while (!at_end()) {
            const char c = peek();
            if (stop && c == *stop) {
                ++at_;
                raw_escapes_ = raw_before;
                return result;
            }
            std::string piece;
            bool splits = false;
            if (c == '$') {
                piece = dollar();
                splits = true;
            } else if (c == '\'' && !quotes_stand_) {
                piece = single_quoted();
            } else if (c == '"' && !quotes_stand_) {
                piece = double_quoted();
            } else if (c == options_.escape) {
                ++at_;
                if (raw_escapes_) piece += c;
                if (!at_end()) piece += next();
            } else {
                piece += next();
                splits = true;
            }
            if (words != nullptr) splits ? words->add(piece) : words->add_unsplit(piece);
            result += piece;
            limit(opened, result.size());
        }
        if (stop) fail(opened, std::string("syntax error: missing '") + *stop + "'");
        raw_escapes_ = raw_before;
        return result;
    }

    std::string single_quoted() {
        const std::size_t begin = at_;
        const std::size_t end = source_.find('\'', begin + 1);
        if (end == std::string_view::npos) {
            fail(begin, "unexpected end of statement while looking for matching single-quote",
                 "close the quote, or write the quote character itself as \"'\"");
        }
        at_ = end + 1;
        return std::string(options_.keep_quotes ? source_.substr(begin, at_ - begin)
                                                : source_.substr(begin + 1, end - begin - 1));
    }

    std::string double_quoted() {
        const std::size_t begin = at_++;
        std::string result(options_.keep_quotes ? "\"" : "");
        while (!at_end()) {
            const char c = peek();
            if (c == '"') {
                ++at_;
                if (options_.keep_quotes) result += c;
                return result;
            }
            if (c == '$') {
                result += dollar();
                limit(begin, result.size());
                continue;
            }
            ++at_;
            // Only these three can be escaped in double quotes; before any other the escape stands.
            const bool escapes =
                c == options_.escape && !at_end() && (peek() == '"' || peek() == '$' || peek() == options_.escape);
            if (!escapes || raw_escapes_) result += c;
            if (escapes) result += next();
        }
        fail(begin, "unexpected end of statement while looking for matching double-quote", "close the quote");
    }

    std::string name() {
        const std::size_t begin = at_;
        if (at_end()) return {};
        if (is_special(peek())) {
            ++at_;
        } else if (is_digit(peek())) {
            while (!at_end() && is_digit(peek())) ++at_;
        } else {
            while (!at_end() && is_name(peek())) ++at_;
        }
        return std::string(source_.substr(begin, at_ - begin));
    }

    std::optional<std::string> look_up(const std::string& variable) const {
        return lookup_ != nullptr ? (*lookup_)(variable) : std::nullopt;
    }

    std::string value_or_empty(const std::string& variable) {
        auto value = look_up(variable);
        if (!value && options_.unset != nullptr) options_.unset->insert(variable);
        return std::move(value).value_or(std::string());
    }

    std::string dollar() {
        const std::size_t begin = at_++;
        if (!at_end() && peek() == '{') {
            if (++depth_ > max_depth) fail(begin, "substitutions are nested too deeply");
            ++at_;
            std::string value = braces(begin);
            --depth_;
            return value;
        }
        const std::string variable = name();
        return variable.empty() ? "$" : value_or_empty(variable);
    }

    // After `${`.
    std::string braces(std::size_t begin) {
        if (at_end()) fail(begin, "syntax error: missing '}'");
        const std::string variable = peek() == '{' ? std::string() : name();
        if (variable.empty()) fail(begin, "syntax error: bad substitution", "write ${NAME}");
        if (at_end()) fail(begin, "syntax error: missing '}'");
        const char c = next();
        switch (c) {
            case '}': return value_or_empty(variable);
            case ':':
                if (at_end()) fail(begin, "syntax error: missing '}'");
                if (std::string_view("+-?").find(peek()) == std::string_view::npos) {
                    unsupported(begin, std::string(":") + peek());
                }
                return conditional(begin, variable, next(), true);
            case '+':
            case '-':
            case '?': return conditional(begin, variable, c, false);
            case '#':
            case '%': return stripped(begin, variable, c);
            case '/': return replaced(begin, variable);
            default: unsupported(begin, std::string(1, c));
        }
    }

    [[noreturn]] void unsupported(std::size_t begin, const std::string& modifier) {
        fail(begin, "unsupported modifier (" + modifier + ") in substitution",
             "known are :- - :+ + :? ? # ## % %% / and //");
    }

    std::string conditional(std::size_t begin, const std::string& variable, char modifier, bool empty_is_unset) {
        std::string word = text_until('}', begin, false);
        auto value = look_up(variable);
        const bool usable = value && !(empty_is_unset && value->empty());
        switch (modifier) {
            case '-': return usable ? std::move(*value) : std::move(word);
            case '+': return usable ? std::move(word) : std::string();
            default: break;
        }
        if (usable) return std::move(*value);
        if (lookup_ == nullptr) return {};
        if (word.empty()) word = value ? "is not allowed to be empty" : "is not allowed to be unset";
        fail(begin, variable + ": " + word);
    }

    std::string stripped(std::size_t begin, const std::string& variable, char side) {
        std::string pattern = text_until('}', begin, true);
        if (lookup_ == nullptr) return {};
        const bool doubled = !pattern.empty() && pattern.front() == side;
        if (doubled) pattern.erase(0, 1);
        const Reach reach = doubled ? Reach::longest : Reach::shortest;
        const std::string value = value_or_empty(variable);
        return side == '#' ? strip_prefix(value, pattern, reach) : strip_suffix(value, pattern, reach);
    }

    std::string replaced(std::size_t begin, const std::string& variable) {
        const bool all = !at_end() && peek() == '/';
        if (all) ++at_;
        const std::string pattern = text_until('/', begin, true);
        const std::string replacement = text_until('}', begin, false);
        if (lookup_ == nullptr) return {};
        const std::string value = value_or_empty(variable);
        return all ? replace_all(value, pattern, replacement, max_value) : replace_first(value, pattern, replacement);
    }

    std::string_view source_;
    const Lookup* lookup_;
    const ExpandOptions& options_;
    bool quotes_stand_;
    bool raw_escapes_;
    std::size_t at_ = 0;
    std::size_t fault_ = 0;
    int depth_ = 0;
};

}  // namespace

std::string expand(std::string_view word, const Lookup& lookup, const ExpandOptions& options) {
    return Lexer(word, &lookup, options).run();
}

std::vector<std::string> expand_words(std::string_view text, const Lookup& lookup, const ExpandOptions& options) {
    WordList words;
    Lexer(text, &lookup, options).run(&words);
    return words.take();
}

std::string expand_heredoc(std::string_view text, const Lookup& lookup, const ExpandOptions& options) {
    return Lexer(text, &lookup, options, true).run();
}

std::optional<WordFault> word_fault(std::string_view word, char escape) {
    const ExpandOptions options{.escape = escape};
    Lexer lexer(word, nullptr, options);
    try {
        lexer.run();
    } catch (const Error& error) {
        return WordFault{lexer.fault_offset(), error.message(), error.hint()};
    }
    return std::nullopt;
}

}  // namespace mkimg::parser

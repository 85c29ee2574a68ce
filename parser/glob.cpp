#include "parser/glob.h"

#include <algorithm>

#include "base/error.h"
#include "parser/ignore.h"
#include "parser/utf8.h"

namespace mkimg::parser {
namespace {

[[noreturn]] void malformed(const std::string& why, const std::string& hint) {
    throw Error(ErrorCode::recipe, "malformed pattern: " + why, hint);
}

// As long as a path can be; keeps a match's cost within bounds.
constexpr std::size_t max_pattern = 4096;

bool is_plain(std::u32string_view pattern) {
    return pattern.find_first_of(U"*?[]\\") == std::u32string_view::npos;
}

}  // namespace

Glob::Glob(std::string_view pattern, Syntax syntax) {
    if (pattern.size() > max_pattern) malformed("it is longer than 4096 bytes", "no path is that long");
    compile(decode_utf8(pattern), syntax);
}

void Glob::compile(std::u32string_view pattern, Syntax syntax) {
    std::size_t at = 0;
    while (at < pattern.size()) {
        const char32_t c = pattern[at];
        if (c == U'*' && syntax == Syntax::ignore && pattern.substr(at).starts_with(U"**")) {
            at = compile_stars(pattern, at + 2);
        } else if (c == U'*') {
            tokens_.push_back({Kind::star});
            ++at;
        } else if (c == U'?') {
            tokens_.push_back({Kind::any});
            ++at;
        } else if (c == U'[') {
            at = compile_set(pattern, at + 1);
        } else {
            if (c == U'\\' && ++at == pattern.size()) {
                malformed("it ends with a \\", "write \\\\ for a backslash");
            }
            tokens_.push_back({Kind::character, pattern[at++]});
        }
    }
}

// After `**`. Returns where the pattern goes on.
std::size_t Glob::compile_stars(std::u32string_view pattern, std::size_t at) {
    const bool slash = at < pattern.size() && pattern[at] == U'/';
    const bool first = tokens_.empty();
    if (slash) ++at;
    if (at == pattern.size() || (first && !slash && is_plain(pattern.substr(at)))) {
        tokens_.push_back({Kind::everything});
    } else {
        tokens_.push_back({Kind::descent});
        tokens_.push_back({Kind::ancestors});
    }
    return at;
}

// After `[`. Returns what follows the `]`.
std::size_t Glob::compile_set(std::u32string_view pattern, std::size_t at) {
    Token token{Kind::set};
    const auto member = [&] {
        const std::string hint = "write \\[ for the character itself";
        if (at == pattern.size()) malformed("a [ is never closed", hint);
        if (pattern[at] == U'-' || pattern[at] == U']') malformed("a set [ ] is empty or has half a range", hint);
        if (pattern[at] == U'\\' && ++at == pattern.size()) malformed("a [ is never closed", hint);
        return pattern[at++];
    };
    if (at < pattern.size() && pattern[at] == U'^') {
        token.negated = true;
        ++at;
    }
    do {
        const char32_t low = member();
        char32_t high = low;
        if (at < pattern.size() && pattern[at] == U'-') {
            ++at;
            high = member();
        }
        token.ranges.emplace_back(low, high);
    } while (at == pattern.size() || pattern[at] != U']');
    tokens_.push_back(std::move(token));
    return at + 1;
}

class Glob::Run {
  public:
    explicit Run(const std::vector<Token>& tokens) : tokens_(tokens), marks_(tokens.size() + 1, 0) { enter(0); }

    bool dead() const noexcept { return states_.empty(); }
    bool accepts() const noexcept { return marks_.back() == generation_; }
    // Whether there is a way on that needs more characters, or takes them.
    bool can_go_on() const noexcept { return states_.size() > (accepts() ? 1U : 0U); }

    void step(char32_t character) {
        before_.swap(states_);
        states_.clear();
        ++generation_;
        for (const std::size_t state : before_) step_from(state, character);
    }

  private:
    // Adds a token, and what follows it where it can match nothing.
    void enter(std::size_t token) {
        for (;; ++token) {
            if (marks_[token] == generation_) return;
            marks_[token] = generation_;
            states_.push_back(token);
            if (token == tokens_.size()) return;
            const Kind kind = tokens_[token].kind;
            if (kind == Kind::descent) enter(token + 2);
            if (kind != Kind::star && kind != Kind::everything && kind != Kind::descent) return;
        }
    }

    void step_from(std::size_t state, char32_t character) {
        if (state == tokens_.size()) return;
        const Token& token = tokens_[state];
        const bool in_component = character != U'/';
        switch (token.kind) {
            case Kind::character:
                if (character == token.character) enter(state + 1);
                break;
            case Kind::any:
                if (in_component) enter(state + 1);
                break;
            case Kind::set:
                if (token.contains(character)) enter(state + 1);
                break;
            case Kind::star:
                if (in_component) enter(state);
                break;
            case Kind::descent: break;
            case Kind::ancestors:
                enter(state);
                if (!in_component) enter(state + 1);
                break;
            case Kind::everything: enter(state); break;
        }
    }

    const std::vector<Token>& tokens_;
    std::vector<std::size_t> states_;
    std::vector<std::size_t> before_;
    std::vector<std::uint32_t> marks_;  // by token: the generation that holds it
    std::uint32_t generation_ = 1;
};

bool Glob::Token::contains(char32_t c) const {
    const bool found = std::any_of(ranges.begin(), ranges.end(),
                                   [c](const auto& range) { return range.first <= c && c <= range.second; });
    return found != negated;
}

bool Glob::matches(std::u32string_view path) const {
    Run run(tokens_);
    for (const char32_t c : path) {
        if (run.dead()) return false;
        run.step(c);
    }
    return run.accepts();
}

bool Glob::matches_or_parent(std::u32string_view path) const {
    // Most patterns differ from most paths in the first character.
    if (!tokens_.empty() && tokens_.front().kind == Kind::character && !path.starts_with(tokens_.front().character)) {
        return false;
    }
    Run run(tokens_);
    for (std::size_t i = 0; i < path.size() && !run.dead(); ++i) {
        if (path[i] == U'/' && i != 0 && run.accepts()) return true;
        run.step(path[i]);
    }
    return run.accepts();
}

bool Glob::can_match_below(std::u32string_view directory) const {
    Run run(tokens_);
    for (const char32_t c : directory) run.step(c);
    run.step(U'/');
    return run.can_go_on();
}

bool glob_match(std::string_view pattern, std::string_view path) {
    return Glob(pattern, Glob::Syntax::path).matches(decode_utf8(path));
}

bool has_glob(std::string_view pattern) {
    return pattern.find_first_of("*?[\\") != std::string_view::npos;
}

}  // namespace mkimg::parser

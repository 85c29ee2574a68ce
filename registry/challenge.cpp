#include "registry/challenge.h"

#include <algorithm>

#include "base/text.h"

namespace mkimg::registry {
namespace {

bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
// tchar of RFC 7230 section 3.2.6.
bool is_token_char(char c) {
    return is_alnum(c) || (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}
bool is_token68_char(char c) {
    return is_alnum(c) || (c != '\0' && std::string_view("-._~+/").find(c) != std::string_view::npos);
}
bool is_blank(char c) {
    return c == ' ' || c == '\t';
}
// What may stand in a quoted-string besides its delimiters: HTAB, SP, VCHAR, obs-text.
bool is_text(char c) {
    return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

// One header value. Its grammar has a comma both between challenges and between a challenge's parameters:
// a token is a parameter's name where "=" follows, and else the scheme of another challenge.
class Parser {
  public:
    Parser(std::string_view text, std::vector<Challenge>& challenges) : rest_(text), challenges_(challenges) {}

    // Ends at the first fault.
    void run() {
        Challenge* current = nullptr;
        while (skip_empty_elements(), !rest_.empty()) {
            const std::string_view name = take_while(is_token_char);
            if (name.empty()) return;
            const bool separated = skip_blanks();
            if (rest_.starts_with('=')) {
                if (current == nullptr || !parameter(name, *current)) return;
                continue;
            }
            if (!separated && !at_delimiter()) return;
            current = &challenges_.emplace_back();
            current->scheme = to_lower(name);
            if (at_delimiter() || token68(*current)) continue;
            const std::string_view first = take_while(is_token_char);
            skip_blanks();
            if (first.empty() || !rest_.starts_with('=') || !parameter(first, *current)) return;
        }
    }

  private:
    bool at_delimiter() const { return rest_.empty() || rest_.starts_with(','); }

    template <typename Predicate>
    std::string_view take_while(Predicate holds) {
        const auto end = std::find_if_not(rest_.begin(), rest_.end(), holds);
        const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
        rest_.remove_prefix(taken.size());
        return taken;
    }

    bool skip_blanks() { return !take_while(is_blank).empty(); }
    void skip_empty_elements() {
        take_while([](char c) { return is_blank(c) || c == ','; });
    }

    // The whole of what follows a scheme, or nothing is taken.
    bool token68(Challenge& challenge) {
        const std::string_view before = rest_;
        take_while(is_token68_char);
        take_while([](char c) { return c == '='; });
        const std::string_view taken = before.substr(0, before.size() - rest_.size());
        skip_blanks();
        if (taken.empty() || taken.front() == '=' || !at_delimiter()) {
            rest_ = before;
            return false;
        }
        challenge.token68 = taken;
        return true;
    }

    // From the "=" on. It counts once it is whole; of two with one name, the first.
    bool parameter(std::string_view name, Challenge& challenge) {
        rest_.remove_prefix(1);
        skip_blanks();
        std::string value;
        if (rest_.starts_with('"')) {
            if (!quoted_string(value)) return false;
        } else {
            value = take_while(is_token_char);
            if (value.empty()) return false;
        }
        skip_blanks();
        if (!at_delimiter() || !challenge.token68.empty()) return false;
        challenge.parameters.emplace(to_lower(name), std::move(value));
        return true;
    }

    bool quoted_string(std::string& value) {
        for (std::size_t i = 1; i < rest_.size(); ++i) {
            if (rest_[i] == '"') {
                rest_.remove_prefix(i + 1);
                return true;
            }
            if (rest_[i] == '\\' && ++i == rest_.size()) return false;
            if (!is_text(rest_[i])) return false;
            value += rest_[i];
        }
        return false;
    }

    std::string_view rest_;
    std::vector<Challenge>& challenges_;
};

}  // namespace

std::vector<Challenge> parse_challenges(std::span<const std::string_view> values) {
    std::vector<Challenge> challenges;
    for (const std::string_view value : values) Parser(value, challenges).run();
    return challenges;
}

}  // namespace mkimg::registry

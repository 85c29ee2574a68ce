#include "builder/chmod_spec.h"

#include <string>

#include "base/error.h"
#include "base/text.h"

namespace mkimg::builder {
namespace {

constexpr std::uint32_t all_read = 0444;
constexpr std::uint32_t all_write = 0222;
constexpr std::uint32_t all_execute = 0111;
constexpr std::uint32_t set_id = 06000;
constexpr std::uint32_t sticky = 01000;

std::uint32_t class_bits(char who) {
    switch (who) {
        case 'u': return 04700;
        case 'g': return 02070;
        case 'o': return 00007;
        case 'a': return 07777;
        default: return 0;
    }
}

std::uint32_t permission_bits(char permission) {
    switch (permission) {
        case 'r': return all_read;
        case 'w': return all_write;
        case 'x': return all_execute;
        case 's': return set_id;
        case 't': return sticky;
        default: return 0;
    }
}

// The rwx of one class of `mode`, given to all three.
std::uint32_t spread(std::uint32_t mode, char who) {
    const unsigned shift = who == 'u' ? 6 : who == 'g' ? 3 : 0;
    return ((mode >> shift) & 07U) * 0111U;
}

[[noreturn]] void refuse(std::string_view text) {
    throw Error(ErrorCode::recipe, "--chmod=" + printable(text) + " is no file mode",
                "write octal digits (--chmod=755) or clauses as chmod(1) takes them (--chmod=u=rwX,go=rX)");
}

}  // namespace

ChmodSpec ChmodSpec::parse(std::string_view text) {
    ChmodSpec spec;
    if (text.empty()) refuse(text);
    if (text.front() >= '0' && text.front() <= '9') {
        for (const char c : text) {
            if (c < '0' || c > '7') refuse(text);
            spec.octal_ = spec.octal_ * 8 + static_cast<std::uint32_t>(c - '0');
            if (spec.octal_ > 07777) refuse(text);
        }
        return spec;
    }
    spec.symbolic_ = true;
    for (const std::string& clause : split(text, ',')) {
        std::size_t at = 0;
        std::uint32_t classes = 0;
        while (at < clause.size() && class_bits(clause[at]) != 0) classes |= class_bits(clause[at++]);
        if (classes == 0) classes = class_bits('a');
        if (at == clause.size()) refuse(text);
        while (at < clause.size()) {
            Action action{classes, clause[at++]};
            if (action.operation != '+' && action.operation != '-' && action.operation != '=') refuse(text);
            if (at < clause.size() && (clause[at] == 'u' || clause[at] == 'g' || clause[at] == 'o')) {
                action.copy_from = clause[at++];
            }
            for (; action.copy_from == 0 && at < clause.size(); ++at) {
                const std::uint32_t bits = permission_bits(clause[at]);
                if (bits == 0 && clause[at] != 'X') break;
                action.bits |= bits;
                action.conditional_x |= clause[at] == 'X';
            }
            spec.actions_.push_back(action);
        }
    }
    return spec;
}

std::uint32_t ChmodSpec::apply(std::uint32_t mode, bool is_directory) const {
    if (!symbolic_) return octal_;
    mode &= 07777;
    for (const Action& action : actions_) {
        std::uint32_t bits = action.bits;
        if (action.copy_from != 0) bits = spread(mode, action.copy_from);
        if (action.conditional_x && (is_directory || (mode & all_execute) != 0)) bits |= all_execute;
        bits &= action.classes | (bits & sticky);
        switch (action.operation) {
            case '+': mode |= bits; break;
            case '-': mode &= ~bits; break;
            default: mode = (mode & ~action.classes) | bits; break;
        }
    }
    return mode;
}

}  // namespace mkimg::builder

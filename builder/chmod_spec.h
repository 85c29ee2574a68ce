// --chmod of COPY and ADD: octal ("0755") or symbolic ("u=rwX,go=rX").
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace mkimg::builder {

class ChmodSpec {
  public:
    // Throws Error(recipe).
    static ChmodSpec parse(std::string_view text);

    // The mode (07777) that a file of mode `mode` gets.
    std::uint32_t apply(std::uint32_t mode, bool is_directory) const;
    // True where the result doesn't depend on the mode that was there.
    bool absolute() const noexcept { return clauses_.empty(); }

  private:
    struct Clause {
        std::uint32_t who = 0;   // bits of the classes: 04700, 02070, 01007 or several
        char operation = '=';    // '+', '-', '='
        std::uint32_t bits = 0;  // rwx and st, for all classes
        bool conditional_x = false;
        char copy_from = 0;  // 'u', 'g', 'o', or 0
    };
    std::uint32_t octal_ = 0;
    std::vector<Clause> clauses_;
};

}  // namespace mkimg::builder

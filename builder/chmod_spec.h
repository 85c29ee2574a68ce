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

    // The mode (07777) that something of mode `mode` gets. `a` is meant where no class is named,
    // whatever the umask.
    std::uint32_t apply(std::uint32_t mode, bool is_directory) const;

  private:
    struct Action {
        std::uint32_t classes;       // every bit that belongs to the named classes
        char operation;              // '+', '-', '='
        std::uint32_t bits = 0;      // r, w, x, s, t for all classes
        bool conditional_x = false;  // X
        char copy_from = 0;          // 'u', 'g', 'o'; 0 for none
    };
    bool symbolic_ = false;
    std::uint32_t octal_ = 0;
    std::vector<Action> actions_;
};

}  // namespace mkimg::builder

#include "builder/stage_state.h"

namespace mkimg::builder {

std::optional<std::string> StageState::variable(std::string_view name) const {
    if (const auto value = config.env_value(name)) return std::string(*value);
    if (const Arg* arg = args.find(name)) return arg->value;
    return std::nullopt;
}

}  // namespace mkimg::builder

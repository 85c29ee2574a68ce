// What a stage has become after its steps so far.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/scope.h"
#include "oci/digest.h"
#include "oci/image_config.h"

namespace mkimg::builder {

inline constexpr std::string_view default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct StageState {
    oci::ImageConfig config;            // with the DiffIDs and the history so far
    std::optional<oci::ChainId> chain;  // of config.diff_ids
    ArgScope args;
    bool cmd_is_own = false;            // CMD was set by this stage: ENTRYPOINT then leaves it
    std::size_t first_own_history = 0;  // history before this came with the base image

    // ENV, then ARG; for expansion.
    std::optional<std::string> variable(std::string_view name) const;
};

}  // namespace mkimg::builder

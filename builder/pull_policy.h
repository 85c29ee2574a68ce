// When a registry is asked for an image that the store may have.
#pragma once

#include <string_view>

namespace mkimg::builder {

enum class PullPolicy {
    missing,  // when the store lacks it
    always,   // each time: what the registry says counts
    never,    // the store's images only
    newer,    // each time, but the store's image does where the registry can't be reached
};

// Throws Error(usage) that names what there is.
PullPolicy parse_pull_policy(std::string_view text);

}  // namespace mkimg::builder

// What push and copy say they did.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "registry/transfer.h"

namespace mkimg::cli {

// "uploaded", "exists" or "mounted".
inline std::string action_of(registry::Transfer::State state) {
    switch (state) {
        case registry::Transfer::State::exists: return "exists";
        case registry::Transfer::State::mounted: return "mounted";
        default: return "uploaded";
    }
}

// One document: {"name", "digest", "size", "media_type", "blobs": [{"digest", "size", "action"}]}. `pushed` is a
// builder::Pushed or a registry::Copied.
template <typename Result>
nlohmann::json push_report(const std::string& name, const Result& pushed) {
    auto blobs = nlohmann::json::array();
    for (const auto& blob : pushed.blobs) {
        blobs.push_back({{"digest", blob.digest.str()}, {"size", blob.size}, {"action", action_of(blob.state)}});
    }
    return {{"name", name},
            {"digest", pushed.manifest.digest.str()},
            {"size", pushed.manifest.size},
            {"media_type", pushed.manifest.media_type},
            {"blobs", std::move(blobs)}};
}

}  // namespace mkimg::cli

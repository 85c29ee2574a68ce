// What push and copy say they did.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "oci/image_config.h"
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

// One document: {"name", "digest", "size", "media_type", "blobs": [{"digest", "size", "action"}]}.
inline nlohmann::json push_report(const std::string& name, const oci::Descriptor& manifest,
                                  const std::vector<registry::SentBlob>& sent) {
    auto blobs = nlohmann::json::array();
    for (const registry::SentBlob& blob : sent) {
        blobs.push_back({{"digest", blob.digest.str()}, {"size", blob.size}, {"action", action_of(blob.state)}});
    }
    return {{"name", name},
            {"digest", manifest.digest.str()},
            {"size", manifest.size},
            {"media_type", manifest.media_type},
            {"blobs", std::move(blobs)}};
}

}  // namespace mkimg::cli

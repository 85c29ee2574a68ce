#include "oci/platform_choice.h"

#include "base/error.h"
#include "base/text.h"

namespace mkimg::oci {
namespace {

// How well an image for `has` runs where `wanted` is: 0 not at all.
int fitness(const Platform& has, const Platform& wanted) {
    if (has.os != wanted.os || has.architecture != wanted.architecture) return 0;
    if (has.variant == wanted.variant) return 3;
    if (has.variant.empty() || wanted.variant.empty()) return 2;
    return has.architecture == "arm" && has.variant < wanted.variant ? 1 : 0;
}

}  // namespace

bool is_attestation(const Descriptor& descriptor) {
    const auto found = descriptor.annotations.find("vnd.docker.reference.type");
    return found != descriptor.annotations.end() && found->second == "attestation-manifest";
}

const Descriptor& choose_platform(const std::vector<Descriptor>& manifests, const Platform& wanted,
                                  const std::string& what) {
    const Descriptor* best = nullptr;
    int best_fitness = 0;
    std::vector<std::string> there;
    for (const auto& descriptor : manifests) {
        if (is_attestation(descriptor) || !descriptor.platform) continue;
        there.push_back(descriptor.platform->str());
        const int fits = fitness(*descriptor.platform, wanted);
        const bool newer = best != nullptr && descriptor.platform->variant > best->platform->variant;
        if (fits > best_fitness || (fits != 0 && fits == best_fitness && newer)) {
            best = &descriptor;
            best_fitness = fits;
        }
    }
    if (best != nullptr) return *best;
    if (manifests.size() == 1 && !manifests[0].platform) return manifests[0];
    throw Error(ErrorCode::not_found, what + " has no image for " + wanted.str(),
                there.empty() ? "it names no platform" : "it has " + join(there, ", "));
}

}  // namespace mkimg::oci

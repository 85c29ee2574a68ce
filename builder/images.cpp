#include "builder/images.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "builder/import.h"
#include "builder/remote_image.h"
#include "oci/origins.h"

namespace mkimg::builder {
namespace {

constexpr std::array<std::pair<std::string_view, PullPolicy>, 4> policies{{{"missing", PullPolicy::missing},
                                                                           {"always", PullPolicy::always},
                                                                           {"never", PullPolicy::never},
                                                                           {"newer", PullPolicy::newer}}};

std::string did_you_mean(oci::Store& store, const std::string& reference) {
    const auto near = store.nearest_name(reference);
    return near ? "did you mean " + *near + "? " : std::string();
}

// The registry's answer, and what the store has where that does as well.
oci::Digest ask_registry(const std::string& reference, const std::optional<oci::Store::Image>& local,
                         const ImageSources& from) {
    try {
        return pull_name(oci::Reference::parse(reference), oci::Platform::host(), from.store, from.registries);
    } catch (Error& error) {
        if (local && from.pull == PullPolicy::newer && error.code() != ErrorCode::cancelled) {
            from.progress.warning(
                {"", "--pull=newer: " + error.message() + "; the store's " + reference + " is used", {}});
            return local->id;
        }
        if (!local && error.code() != ErrorCode::cancelled) {
            error.add_context("the store has no image " + reference + ", and it could not be pulled");
            error.set_hint(error.hint().empty() ? did_you_mean(from.store, reference) +
                                                      "mkimg load and FROM oci-archive:FILE take images from files"
                                                : did_you_mean(from.store, reference) + error.hint());
        }
        throw;
    }
}

oci::Digest find_id(const std::string& reference, const ImageSources& from) {
    if (is_archive_spec(reference)) return import_image(from.store, from.layers, reference).id;
    const auto local = from.store.find_image(reference);
    if (local && (from.pull == PullPolicy::missing || from.pull == PullPolicy::never)) return local->id;
    const auto name = oci::Reference::parse(reference);
    // By its ID an image is the same for ever, and so is what a digest stands for.
    if (local && std::find(local->names.begin(), local->names.end(), name.familiar()) == local->names.end()) {
        return local->id;
    }
    if (name.digest) {
        if (const auto known = find_by_manifest(from.store, *name.digest, oci::Platform::host())) return *known;
    }
    if (from.pull == PullPolicy::never) {
        throw Error(ErrorCode::not_found,
                    "image " + reference + " is not in the store, and --pull=never asks no registry",
                    did_you_mean(from.store, reference) +
                        "mkimg pull, load or import bring it in; mkimg images lists what there is");
    }
    return ask_registry(reference, local, from);
}

}  // namespace

PullPolicy parse_pull_policy(std::string_view text) {
    for (const auto& [name, policy] : policies) {
        if (name == text) return policy;
    }
    throw Error(ErrorCode::usage, "--pull=" + std::string(text) + ": unknown policy",
                "use always, missing, never or newer");
}

oci::Digest pull_name(const oci::Reference& name, const oci::Platform& platform, oci::Store& store,
                      registry::Registries& registries) {
    const RemoteImage image = resolve_remote(store, registries, name, platform);
    // By digest alone it has no name that could be given to another image later.
    name.digest ? store.add_image(image.id) : store.tag(name, image.id);
    return image.id;
}

ResolvedImage find_base_image(const std::string& reference, const ImageSources& from) {
    const oci::Digest id = find_id(reference, from);
    ResolvedImage image{id, oci::ImageConfig::parse(from.store.read_blob(id)), std::nullopt};
    const oci::Platform host = oci::Platform::host();
    if (image.config.platform.os != host.os || image.config.platform.architecture != host.architecture) {
        throw Error(ErrorCode::unsupported, "image " + reference + " is for " + image.config.platform.str() +
                                                "; building on it on " + host.str() + " is not supported yet");
    }
    image.chain = oci::chain_id(image.config.diff_ids);
    if (image.chain && !from.layers.find(*image.chain) && oci::origins_of(from.store, *image.chain).empty()) {
        throw Error(ErrorCode::corrupt, "image " + reference + " lacks a layer in the store",
                    "mkimg fsck tells what is broken; load, import or pull the image again");
    }
    return image;
}

}  // namespace mkimg::builder

#include "builder/images.h"

#include "base/error.h"
#include "base/text.h"
#include "builder/import.h"

namespace mkimg::builder {
namespace {

bool names_an_archive(std::string_view reference) {
    return reference.starts_with("oci-layout://") || reference.starts_with("oci-archive:") ||
           reference.starts_with("docker-archive:");
}

oci::Digest find_id(const std::string& reference, oci::Store& store, layers::LayerStore& layers) {
    if (names_an_archive(reference)) return import_image(store, layers, reference).id;
    if (const auto image = store.find_image(reference)) return image->id;
    const auto near = store.nearest_name(reference);
    throw Error(ErrorCode::unsupported,
                "image " + reference + " is not in the store, and pulling from a registry is not supported yet",
                (near ? "did you mean " + *near + "? " : std::string()) +
                    "bring it in with mkimg load or mkimg import, or write FROM oci-archive:FILE; mkimg images lists "
                    "what there is");
}

}  // namespace

ResolvedImage find_base_image(const std::string& reference, oci::Store& store, layers::LayerStore& layers) {
    const oci::Digest id = find_id(reference, store, layers);
    ResolvedImage image{id, oci::ImageConfig::parse(store.read_blob(id)), std::nullopt};
    const oci::Platform host = oci::Platform::host();
    if (image.config.platform.os != host.os || image.config.platform.architecture != host.architecture) {
        throw Error(ErrorCode::unsupported, "image " + reference + " is for " + image.config.platform.str() +
                                                "; building on it on " + host.str() + " is not supported yet");
    }
    image.chain = oci::chain_id(image.config.diff_ids);
    if (image.chain && !layers.find(*image.chain)) {
        throw Error(ErrorCode::corrupt, "image " + reference + " lacks a layer in the store",
                    "mkimg fsck tells what is broken; load or import the image again");
    }
    return image;
}

}  // namespace mkimg::builder

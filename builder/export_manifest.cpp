#include "builder/export_manifest.h"

#include "base/error.h"

namespace mkimg::builder {

std::string_view layer_media_type(layers::Compression format, bool oci_types) {
    switch (format) {
        case layers::Compression::none: return oci_types ? oci::media_type::oci_layer : oci::media_type::docker_layer;
        case layers::Compression::gzip:
            return oci_types ? oci::media_type::oci_layer_gzip : oci::media_type::docker_layer_gzip;
        case layers::Compression::zstd: return oci::media_type::oci_layer_zstd;
        default: break;
    }
    throw Error(ErrorCode::internal, "no media type for layers in " + std::string(layers::name_of(format)));
}

std::vector<layers::Layer> layers_of(layers::LayerStore& layers, const oci::ImageConfig& config) {
    const auto top = oci::chain_id(config.diff_ids);
    if (!top) return {};
    return layers.stack(*top);
}

AssembledManifest assemble_manifest(const oci::Digest& id, std::string_view config, std::vector<oci::Descriptor> layers,
                                    const ManifestOptions& options) {
    const bool oci_types = options.oci_media_types;
    oci::Manifest manifest{
        .media_type = std::string(oci_types ? oci::media_type::oci_manifest : oci::media_type::docker_manifest),
        .config = {.media_type = std::string(oci_types ? oci::media_type::oci_config : oci::media_type::docker_config),
                   .digest = id,
                   .size = config.size(),
                   .annotations = {},
                   .platform = {}},
        .layers = std::move(layers),
        .annotations = options.annotations};
    std::string json = manifest.to_json();
    oci::Descriptor descriptor{.media_type = manifest.media_type,
                               .digest = oci::digest_of(json),
                               .size = json.size(),
                               .annotations = {},
                               .platform = oci::ImageConfig::parse(config).platform};
    return {std::move(json), std::move(descriptor), std::move(manifest)};
}

AssembledManifest assemble_manifest(const oci::Digest& id, std::string_view config,
                                    std::span<const layers::LayerStore::Blob> blobs, const ManifestOptions& options) {
    const std::string type(layer_media_type(options.compression.format, options.oci_media_types));
    std::vector<oci::Descriptor> layers;
    for (const auto& blob : blobs) layers.push_back({type, blob.digest, blob.size, {}, {}});
    return assemble_manifest(id, config, std::move(layers), options);
}

std::optional<AssembledManifest> find_manifest(oci::Store& store, layers::LayerStore& layers, const oci::Digest& id,
                                               const ManifestOptions& options) {
    const std::string config = store.read_blob(id);
    std::vector<layers::LayerStore::Blob> blobs;
    for (const auto& diff : oci::ImageConfig::parse(config).diff_ids) {
        const auto blob = layers.find_blob(diff, options.compression);
        if (!blob) return std::nullopt;
        blobs.push_back(*blob);
    }
    return assemble_manifest(id, config, blobs, options);
}

}  // namespace mkimg::builder

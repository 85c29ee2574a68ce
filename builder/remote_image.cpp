#include "builder/remote_image.h"

#include "base/error.h"
#include "base/text.h"
#include "builder/import_image.h"
#include "oci/origins.h"
#include "oci/platform_choice.h"

namespace mkimg::builder {
namespace {

constexpr int deepest_index = 4;

std::string read_config(oci::Store& store, std::vector<registry::Repository>& sources, const oci::Descriptor& config) {
    if (store.has_blob(config.digest)) return store.read_blob(config.digest);
    for (std::size_t i = 0;; ++i) {
        try {
            return sources[i].get_blob(config);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::cancelled || i + 1 == sources.size()) throw;
        }
    }
}

// As it came once: the store's copy has the digest by which it is asked for.
registry::ManifestDocument read_manifest(oci::Store& store, const oci::Digest& digest) {
    std::string bytes = store.read_blob(digest);
    std::string type =
        oci::is_index(bytes) ? oci::Index::parse(bytes).media_type : oci::Manifest::parse(bytes).media_type;
    return {std::move(bytes), std::move(type), digest};
}

// The digest that a source tells for a name that the store has already. Registries that count pulls don't count this.
std::optional<oci::Digest> ask_digest(oci::Store& store, std::vector<registry::Repository>& sources,
                                      const oci::Reference& name) {
    if (name.digest) return name.digest;
    if (!store.find_image(name.familiar())) return std::nullopt;
    for (registry::Repository& source : sources) {
        try {
            if (const auto digest = source.find_manifest(name.tag)) return digest;
        } catch (const Error& error) {
            if (error.code() == ErrorCode::cancelled) throw;  // else asking for the manifest tells what is wrong
        }
    }
    return std::nullopt;
}

registry::ManifestDocument find_manifest(oci::Store& store, std::vector<registry::Repository>& sources,
                                         const oci::Reference& name) {
    const auto digest = ask_digest(store, sources, name);
    if (digest && store.has_blob(*digest)) return read_manifest(store, *digest);
    return registry::get_manifest(sources, name.digest ? name.digest->str() : name.tag);
}

registry::ManifestDocument find_named(oci::Store& store, std::vector<registry::Repository>& sources,
                                      const oci::Descriptor& named) {
    if (store.has_blob(named.digest)) {
        registry::ManifestDocument document = read_manifest(store, named.digest);
        if (document.media_type == named.media_type && document.bytes.size() == named.size) return document;
    }
    return registry::get_manifest(sources, named);
}

}  // namespace

RemoteImage resolve_remote(oci::Store& store, registry::Registries& registries, const oci::Reference& name,
                           const oci::Platform& platform) {
    std::vector<registry::Repository> sources = registries.sources(name);
    registry::ManifestDocument document = find_manifest(store, sources, name);
    std::optional<oci::Digest> index;
    for (int depth = 0; document.is_index(); ++depth) {
        if (depth == deepest_index) {
            throw Error(ErrorCode::corrupt, name.familiar() + " has indexes in indexes without end");
        }
        if (!index) index = document.digest;
        store.put_blob(document.bytes);
        const auto manifests = oci::Index::parse(document.bytes).manifests;
        const oci::Descriptor& chosen = oci::choose_platform(manifests, platform, name.familiar());
        document = find_named(store, sources, chosen);
    }

    const auto manifest = oci::Manifest::parse(document.bytes);
    check_config_type(manifest.config);
    for (const oci::Descriptor& layer : manifest.layers) check_layer_type(layer);
    const std::string config_text = read_config(store, sources, manifest.config);
    const auto config = oci::ImageConfig::parse(config_text);
    if (config.diff_ids.size() != manifest.layers.size()) {
        throw Error(ErrorCode::corrupt, name.familiar() + ": the config has " + std::to_string(config.diff_ids.size()) +
                                            " layers, the manifest " + std::to_string(manifest.layers.size()));
    }

    const oci::Digest id = store.put_blob(config_text);
    store.put_blob(document.bytes);
    oci::record_manifest(store, id, document.digest);
    if (index) oci::record_manifest(store, id, *index);
    std::optional<oci::ChainId> parent;
    for (std::size_t i = 0; i < config.diff_ids.size(); ++i) {
        const oci::ChainId chain = oci::chain_id(parent, config.diff_ids[i]);
        oci::record_origin(store,
                           {chain, config.diff_ids[i], parent, manifest.layers[i], name.registry, name.repository});
        parent = chain;
    }
    return {id, document.digest, index, manifest.layers};
}

std::optional<oci::Digest> find_by_manifest(oci::Store& store, const oci::Digest& manifest,
                                            const oci::Platform& platform) {
    std::optional<oci::Digest> found;
    for (const oci::Digest& image : oci::images_of_manifest(store, manifest)) {
        if (!store.find_image(image.str())) continue;
        const oci::Platform has = oci::ImageConfig::parse(store.read_blob(image)).platform;
        if (has == platform) return image;
        if (has.os == platform.os && has.architecture == platform.architecture) found = image;
    }
    return found;
}

}  // namespace mkimg::builder

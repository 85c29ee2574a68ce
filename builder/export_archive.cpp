#include "builder/export_archive.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/error.h"
#include "builder/export_manifest.h"

namespace mkimg::builder {

namespace {

using Blob = layers::LayerStore::Blob;

constexpr std::string_view ref_name = "org.opencontainers.image.ref.name";
constexpr std::string_view containerd_name = "io.containerd.image.name";

// One image, its layers looked up.
struct Planned {
    const ExportImage* image;
    std::string config;
    std::vector<layers::Layer> layers;
};

std::vector<Planned> plan(oci::Store& store, layers::LayerStore& layers, std::span<const ExportImage> images) {
    std::vector<Planned> planned;
    for (const auto& image : images) {
        std::string config = store.read_blob(image.id);
        auto stack = layers_of(layers, oci::ImageConfig::parse(config));
        planned.push_back({&image, std::move(config), std::move(stack)});
    }
    return planned;
}

// Has the layers of all images compressed, in the order in which they are to be written, while the
// caller writes those that are ready. Plain layers are their own form and are never stored.
class BlobMaker {
  public:
    BlobMaker(layers::LayerStore& store, std::span<const Planned> images, const layers::CompressionSpec& spec)
        : store_(store), spec_(spec) {
        for (const auto& image : images) {
            for (const auto& layer : image.layers) {
                const auto [entry, fresh] = promises_.try_emplace(layer.diff);
                if (!fresh) continue;
                entry->second.blob = entry->second.promise.get_future().share();
                order_.push_back(&layer);
            }
        }
        if (spec_.format == layers::Compression::none) return;
        // The store's pool compresses the blocks of a layer; it can't also run what waits for them. Two
        // layers at a time keep it busy where one ends.
        for (std::size_t i = 0; i < std::min<std::size_t>(2, order_.size()); ++i) {
            makers_.emplace_back([this] { make(); });
        }
    }
    BlobMaker(const BlobMaker&) = delete;
    BlobMaker& operator=(const BlobMaker&) = delete;
    ~BlobMaker() { next_ = order_.size(); }

    // Waits until it is made.
    Blob get(const layers::Layer& layer) {
        if (spec_.format == layers::Compression::none) return {oci::Digest(layer.diff.bytes()), layer.tar_size};
        return promises_.at(layer.diff).blob.get();
    }

    void write(const layers::Layer& layer, const std::string& name, oci::Store& blobs, LayoutWriter& writer) {
        const Blob blob = get(layer);
        if (spec_.format == layers::Compression::none) {
            writer.add_stream(name, layer.tar_size, [&](Sink& sink) { store_.write_tar(layer, sink); });
        } else {
            writer.add_file(name, blobs.open_blob(blob.digest).get(), blob.size);
        }
    }

  private:
    struct Entry {
        std::promise<Blob> promise;
        std::shared_future<Blob> blob;
    };

    void make() {
        for (std::size_t i = next_++; i < order_.size(); i = next_++) {
            auto& promise = promises_.at(order_[i]->diff).promise;
            try {
                promise.set_value(store_.blob(*order_[i], spec_));
            } catch (...) {
                promise.set_exception(std::current_exception());
            }
        }
    }

    layers::LayerStore& store_;
    layers::CompressionSpec spec_;
    std::map<oci::DiffId, Entry> promises_;
    std::vector<const layers::Layer*> order_;
    std::atomic<std::size_t> next_{0};
    std::vector<std::jthread> makers_;
};

std::string blob_path(const oci::Digest& digest) {
    return "blobs/sha256/" + digest.hex();
}

// The index's entries for one image: one per name, or one without.
std::vector<oci::Descriptor> describe(const AssembledManifest& manifest, std::span<const oci::Reference> names) {
    std::vector<oci::Descriptor> entries;
    for (const auto& name : names) {
        entries.push_back(manifest.descriptor);
        entries.back().annotations[std::string(containerd_name)] = name.str();
        entries.back().annotations[std::string(ref_name)] = name.tag;
    }
    if (names.empty()) entries.push_back(manifest.descriptor);
    return entries;
}

bool same_name(const oci::Descriptor& a, const oci::Descriptor& b) {
    const auto value = [](const oci::Descriptor& descriptor, std::string_view key) {
        const auto found = descriptor.annotations.find(std::string(key));
        return found == descriptor.annotations.end() ? std::string() : found->second;
    };
    return value(a, containerd_name) == value(b, containerd_name) && value(a, ref_name) == value(b, ref_name) &&
           (!value(a, ref_name).empty() || a.digest == b.digest);
}

}  // namespace

std::vector<Exported> write_oci_layout(oci::Store& store, layers::LayerStore& layers,
                                       std::span<const ExportImage> images, const OutputSpec& output,
                                       LayoutWriter& writer, const oci::Index& old_index) {
    const auto planned = plan(store, layers, images);
    BlobMaker maker(layers, planned, output.compression);
    const ManifestOptions options{output.compression, output.oci_media_types, output.annotations};
    std::vector<Exported> exported;
    std::set<oci::Digest> written;
    oci::Index index;

    writer.add_text("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    for (const auto& image : planned) {
        std::vector<Blob> blobs;
        for (const auto& layer : image.layers) {
            blobs.push_back(maker.get(layer));
            if (!written.insert(blobs.back().digest).second) continue;
            maker.write(layer, blob_path(blobs.back().digest), store, writer);
        }
        const auto manifest = assemble_manifest(image.image->id, image.config, blobs, options);
        if (written.insert(image.image->id).second) writer.add_text(blob_path(image.image->id), image.config);
        if (written.insert(manifest.descriptor.digest).second) {
            writer.add_text(blob_path(manifest.descriptor.digest), manifest.json);
        }
        for (auto& entry : describe(manifest, image.image->names)) index.manifests.push_back(std::move(entry));
        exported.push_back({image.image->id, manifest.descriptor, image.image->names});
    }
    for (const auto& old : old_index.manifests) {
        const bool replaced = std::any_of(index.manifests.begin(), index.manifests.end(),
                                          [&](const auto& entry) { return same_name(entry, old); });
        if (!replaced) index.manifests.push_back(old);
    }
    writer.add_text("index.json", index.to_json());
    writer.finish();
    return exported;
}

std::vector<Exported> write_docker_archive(oci::Store& store, layers::LayerStore& layers,
                                           std::span<const ExportImage> images, const OutputSpec& output,
                                           LayoutWriter& writer) {
    const auto planned = plan(store, layers, images);
    BlobMaker maker(layers, planned, output.compression);
    const ManifestOptions options{output.compression, false, {}};
    std::vector<Exported> exported;
    std::set<std::string> written;
    auto manifest_json = nlohmann::json::array();

    for (const auto& image : planned) {
        std::vector<Blob> blobs;
        auto paths = nlohmann::json::array();
        for (const auto& layer : image.layers) {
            blobs.push_back(maker.get(layer));
            const std::string path = blobs.back().digest.hex() + "/layer.tar";
            paths.push_back(path);
            if (written.insert(path).second) maker.write(layer, path, store, writer);
        }
        const std::string config_path = image.image->id.hex() + ".json";
        if (written.insert(config_path).second) writer.add_text(config_path, image.config);
        auto tags = nlohmann::json::array();
        for (const auto& name : image.image->names) tags.push_back(name.familiar());
        manifest_json.push_back({{"Config", config_path}, {"RepoTags", tags}, {"Layers", paths}});
        exported.push_back({image.image->id,
                            assemble_manifest(image.image->id, image.config, blobs, options).descriptor,
                            image.image->names});
    }
    writer.add_text("manifest.json", manifest_json.dump());
    writer.finish();
    return exported;
}

}  // namespace mkimg::builder

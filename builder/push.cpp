#include "builder/push.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "builder/export_manifest.h"
#include "builder/import_files.h"
#include "registry/fetch.h"
#include "registry/upload.h"

namespace mkimg::builder {
namespace {

// Compressing less takes less time than the requests that are saved.
constexpr std::uint64_t worth_streaming = 4U << 20U;

// A blob of the store from an offset on, with its own descriptor. Read from its start, its last bytes are given out
// only if the whole has its digest: what a disk has changed never arrives.
class StoredBlob final : public Source {
  public:
    StoredBlob(UniqueFd file, const oci::Descriptor& blob, std::uint64_t offset)
        : file_(std::move(file)), blob_(blob), left_(blob.size - offset), range_({file_.get(), offset, left_}) {
        if (offset == 0) hash_.emplace();
    }

    std::size_t read(std::span<std::byte> buffer) override {
        const std::size_t n = range_.read(buffer);
        left_ -= n;
        if (hash_) {
            hash_->update(buffer.first(n));
            if (left_ == 0) check();
        }
        return n;
    }

  private:
    void check() {
        const bool same = oci::Digest(hash_->finish()) == blob_.digest;
        hash_.reset();
        if (same) return;
        throw Error(ErrorCode::corrupt, "the store's copy of blob " + blob_.digest.str() + " has changed on the disk",
                    "run mkimg fsck --repair, then build or pull the image again");
    }

    UniqueFd file_;
    oci::Descriptor blob_;
    std::uint64_t left_;
    RangeSource range_;
    std::optional<Sha256> hash_;
};

// To one repository: send(), then put_tags().
class Push {
  public:
    Push(const PushServices& services, const oci::Digest& image, std::vector<oci::Reference> names,
         const PushOptions& options)
        : services_(services),
          image_(image),
          names_(std::move(names)),
          repository_(services.registries.repository(names_.front())),
          options_(options),
          oci_types_(options.oci_media_types.value_or(true)),
          config_text_(services.store.read_blob(image)),
          config_(oci::ImageConfig::parse(config_text_)) {}
    Push(const Push&) = delete;
    Push& operator=(const Push&) = delete;
    ~Push() {
        for (auto& upload : uploads_) upload.wait();  // they use what is ours
    }

    // All that the tags need: blobs and, before `several` tags, the manifest by its digest.
    void send(bool several) {
        manifest_ = find_manifest();
        const oci::Descriptor& descriptor = manifest_->descriptor;
        // What the registry has under its name, it has whole.
        for (const oci::Reference& name : names_) {
            const auto there = repository_.find_manifest(name.tag, repository_.push_scope());
            if (there != descriptor.digest) tags_.push_back(name.tag);
        }
        if (tags_.empty()) {
            join_all(uploads_);
            return;
        }
        for (const oci::Descriptor& layer : manifest_->manifest.layers) start_upload(layer);
        start_upload(manifest_->manifest.config);
        blobs_ = join_all(uploads_);
        record(manifest_->manifest.layers);
        if (several) put_manifest(descriptor.digest.str());
    }

    Pushed put_tags() {
        for (const std::string& tag : tags_) put_manifest(tag);
        return {names_, manifest_->descriptor, std::move(blobs_)};
    }

  private:
    AssembledManifest find_manifest() {
        std::optional<AssembledManifest> found = as_it_came();
        if (!found) {
            std::vector<oci::Descriptor> descriptors;
            std::optional<oci::ChainId> chain;
            for (const oci::DiffId& diff : config_.diff_ids) {
                chain = oci::chain_id(chain, diff);
                descriptors.push_back(choose(*chain, diff));
            }
            found =
                assemble_manifest(image_, config_text_, std::move(descriptors), {{}, oci_types_, options_.annotations});
        }
        return std::move(*found);
    }

    void put_manifest(const std::string& reference) {
        services_.registries.cancel().check();
        repository_.put_manifest(reference, manifest_->json, manifest_->descriptor.media_type);
    }

    // The manifest by which the image was pulled, where nothing else is asked for.
    std::optional<AssembledManifest> as_it_came() {
        if (options_.compression || !options_.annotations.empty()) return std::nullopt;
        for (const oci::Digest& digest : oci::manifests_of(services_.store, image_)) {
            std::string json = services_.store.read_blob(digest);
            if (oci::is_index(json)) continue;
            oci::Manifest manifest = oci::Manifest::parse(json);
            const bool oci_types = manifest.media_type == oci::media_type::oci_manifest;
            if (options_.oci_media_types && *options_.oci_media_types != oci_types) continue;
            std::optional<oci::ChainId> chain;
            for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
                chain = oci::chain_id(chain, config_.diff_ids.at(i));
                if (!services_.store.has_blob(manifest.layers[i].digest)) remember_sources(*chain, manifest.layers[i]);
            }
            const oci::Descriptor descriptor{manifest.media_type, digest, json.size(), {}, config_.platform};
            return AssembledManifest{std::move(json), descriptor, std::move(manifest)};
        }
        return std::nullopt;
    }

    // The form in which the layer is pushed.
    oci::Descriptor choose(const oci::ChainId& chain, const oci::DiffId& diff) {
        if (!options_.compression) {
            if (const auto known = known_form(chain, diff)) return *known;
        }
        const layers::CompressionSpec spec = options_.compression.value_or(layers::CompressionSpec{});
        const std::string type(layer_media_type(spec.format, oci_types_));
        if (const auto blob = services_.layers.find_blob(diff, spec)) {
            oci::Descriptor descriptor{type, blob->digest, blob->size, {}, {}};
            start_upload(descriptor);
            return descriptor;
        }
        // Brings the layer where it is not here yet.
        const layers::Layer layer = services_.layers.stack(chain).back();
        const auto growing = std::make_shared<registry::GrowingBlob>();
        if (layer.tar_size >= worth_streaming) start_growing_upload(growing);
        try {
            const auto blob = services_.layers.blob(layer, spec, [&](int file, std::uint64_t bytes) {
                services_.registries.cancel().check();
                growing->grow(file, bytes);
            });
            oci::Descriptor descriptor{type, blob.digest, blob.size, {}, {}};
            if (layer.tar_size >= worth_streaming) started_.insert(blob.digest);
            growing->finish(descriptor);
            start_upload(descriptor);  // goes out while the next layer is compressed
            return descriptor;
        } catch (...) {
            growing->fail();
            throw;
        }
    }

    // As it came from a registry or archive.
    std::optional<oci::Descriptor> known_form(const oci::ChainId& chain, const oci::DiffId& diff) {
        for (const auto format : {layers::Compression::gzip, layers::Compression::zstd}) {
            if (format == layers::Compression::zstd && !oci_types_) continue;
            if (const auto blob = services_.layers.find_blob(diff, {format, -1})) {
                return oci::Descriptor{
                    std::string(layer_media_type(format, oci_types_)), blob->digest, blob->size, {}, {}};
            }
        }
        if (services_.layers.find(chain)) return std::nullopt;  // here, but in no compressed form
        const auto candidates = services_.remote.candidates(chain);
        // Where several blobs claim to hold it, only unpacking tells which does.
        if (candidates.size() != 1) return std::nullopt;
        oci::Descriptor descriptor = candidates.front().origin.blob;
        const auto format = format_of(descriptor.media_type);
        if (!format || (*format == layers::Compression::zstd && !oci_types_)) return std::nullopt;
        descriptor.media_type = layer_media_type(*format, oci_types_);
        remote_[descriptor.digest] = candidates.front().sources;
        return descriptor;
    }

    static std::optional<layers::Compression> format_of(const std::string& media_type) {
        if (media_type == oci::media_type::oci_layer_gzip || media_type == oci::media_type::docker_layer_gzip) {
            return layers::Compression::gzip;
        }
        if (media_type == oci::media_type::oci_layer_zstd) return layers::Compression::zstd;
        if (media_type == oci::media_type::oci_layer || media_type == oci::media_type::docker_layer) {
            return layers::Compression::none;
        }
        return std::nullopt;
    }

    void remember_sources(const oci::ChainId& chain, const oci::Descriptor& blob) {
        for (const auto& candidate : services_.remote.candidates(chain)) {
            if (candidate.origin.blob.digest == blob.digest) remote_[blob.digest] = candidate.sources;
        }
    }

    void start_upload(const oci::Descriptor& blob) {
        if (!started_.insert(blob.digest).second) return;
        const auto remote = remote_.find(blob.digest);
        auto sources = remote == remote_.end() ? std::vector<registry::Repository>() : remote->second;
        uploads_.push_back(services_.registries.transfers().submit(
            [this, blob, from = std::move(sources)] { return upload(blob, from); }));
    }

    // A blob that is made meanwhile.
    void start_growing_upload(std::shared_ptr<registry::GrowingBlob> growing) {
        uploads_.push_back(services_.registries.transfers().submit([this, growing = std::move(growing)] {
            const auto state = registry::upload_growing(repository_, *growing, services_.listener);
            const oci::Descriptor blob = growing->wait();
            if (!state) return upload(blob, {});
            if (services_.listener) {
                services_.listener({registry::Transfer::Direction::push, blob.digest, blob.size, blob.size, *state});
            }
            return registry::SentBlob{blob.digest, blob.size, *state};
        }));
    }

    registry::SentBlob upload(const oci::Descriptor& blob, const std::vector<registry::Repository>& from) {
        const registry::UploadBlob wanted{
            blob, oci::repositories_with(services_.store, blob.digest, repository_.client().host()),
            [&](std::uint64_t offset) { return open(blob, from, offset); }};
        return {blob.digest, blob.size,
                registry::upload(repository_, wanted, services_.registries.config(), services_.listener,
                                 services_.registries.cancel())};
    }

    std::unique_ptr<Source> open(const oci::Descriptor& blob, const std::vector<registry::Repository>& from,
                                 std::uint64_t offset) {
        if (!from.empty() && !services_.store.has_blob(blob.digest)) {
            // Not on the pool's threads: this is one of them, and all may be waiting here.
            ThreadPool one(1);
            registry::FetchServices with = services_.remote.services();
            try {
                registry::fetch_blob({with.store, one, with.retries, with.listener, with.cancel}, from, blob);
            } catch (const Error& error) {
                throw Error(error);  // not as a fault of the upload's own transfer, which is tried again
            }
        }
        return std::make_unique<StoredBlob>(services_.store.open_blob(blob.digest), blob, offset);
    }

    // From here the blobs can be mounted by the next push to this registry.
    void record(const std::vector<oci::Descriptor>& layers) {
        std::optional<oci::ChainId> parent;
        for (std::size_t i = 0; i < layers.size(); ++i) {
            const oci::ChainId chain = oci::chain_id(parent, config_.diff_ids.at(i));
            oci::record_origin(services_.store, {chain, config_.diff_ids[i], parent, layers[i],
                                                 repository_.client().host(), repository_.name()});
            parent = chain;
        }
    }

    const PushServices& services_;
    const oci::Digest image_;
    const std::vector<oci::Reference> names_;
    registry::Repository repository_;
    const PushOptions& options_;
    const bool oci_types_;  // of a manifest that is made here
    const std::string config_text_;
    const oci::ImageConfig config_;
    std::optional<AssembledManifest> manifest_;  // set by send()
    std::vector<std::string> tags_;              // that the registry has not, or of something else
    std::vector<registry::SentBlob> blobs_;
    std::map<oci::Digest, std::vector<registry::Repository>> remote_;  // blobs that the store lacks
    std::set<oci::Digest> started_;
    std::vector<std::future<registry::SentBlob>> uploads_;
};

// The names by the repository that they lie in.
std::vector<std::vector<oci::Reference>> by_repository(std::span<const oci::Reference> names) {
    std::vector<std::vector<oci::Reference>> groups;
    for (const oci::Reference& name : names) {
        const auto same = std::find_if(groups.begin(), groups.end(), [&](const auto& group) {
            return group[0].registry == name.registry && group[0].repository == name.repository;
        });
        same == groups.end() ? groups.push_back({name}) : same->push_back(name);
    }
    return groups;
}

}  // namespace

std::vector<Pushed> push_image(const PushServices& services, const oci::Digest& image,
                               std::span<const oci::Reference> names, const PushOptions& options) {
    std::vector<std::unique_ptr<Push>> pushes;
    for (auto& group : by_repository(names)) {
        pushes.push_back(std::make_unique<Push>(services, image, std::move(group), options));
    }
    for (const auto& push : pushes) push->send(names.size() > 1);
    std::vector<Pushed> pushed;
    pushed.reserve(pushes.size());
    for (const auto& push : pushes) pushed.push_back(push->put_tags());
    return pushed;
}

}  // namespace mkimg::builder

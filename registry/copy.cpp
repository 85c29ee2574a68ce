#include "registry/copy.h"

#include <future>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "oci/platform_choice.h"
#include "registry/streamed_blob.h"
#include "registry/upload.h"

namespace mkimg::registry {
namespace {

constexpr int deepest_index = 4;

bool is_foreign(const oci::Descriptor& layer) {
    return layer.media_type.find("foreign") != std::string::npos ||
           layer.media_type.find("nondistributable") != std::string::npos;
}

class Copy {
  public:
    Copy(const std::vector<Repository>& sources, Repository destination, const CopyServices& services)
        : sources_(sources), destination_(std::move(destination)), services_(services) {}

    // Blobs and what the manifest names, then the manifest itself under `name`.
    void run(const ManifestDocument& document, const std::string& name, int depth = 0) {
        services_.cancel.check();
        if (document.is_index()) {
            if (depth == deepest_index) throw Error(ErrorCode::corrupt, "indexes in indexes without end");
            for (const oci::Descriptor& child : oci::Index::parse(document.bytes).manifests) {
                if (!manifests_.insert(child.digest).second) continue;
                run(get_manifest(sources_, child), child.digest.str(), depth + 1);
            }
        } else {
            const auto manifest = oci::Manifest::parse(document.bytes);
            std::vector<oci::Descriptor> blobs;
            for (const oci::Descriptor& layer : manifest.layers) {
                if (!is_foreign(layer)) blobs.push_back(layer);
            }
            blobs.push_back(manifest.config);
            copy_blobs(blobs);
        }
        destination_.put_manifest(name, document.bytes, document.media_type);
    }

    std::vector<SentBlob> take_blobs() { return std::move(copied_); }

  private:
    void copy_blobs(const std::vector<oci::Descriptor>& blobs) {
        std::vector<std::future<SentBlob>> running;
        for (const oci::Descriptor& blob : blobs) {
            if (!blobs_.insert(blob.digest).second) continue;
            running.push_back(services_.transfers.submit([this, blob] { return copy_blob(blob); }));
        }
        auto sent = join_all(running);
        copied_.insert(copied_.end(), sent.begin(), sent.end());
    }

    SentBlob copy_blob(const oci::Descriptor& blob) {
        UploadBlob wanted{blob, {}, [&](std::uint64_t offset) {
                              return stream_blob(sources_, blob, offset, services_.config.retries(), services_.cancel);
                          }};
        const Repository& origin = sources_.back();
        if (origin.client().host() == destination_.client().host()) wanted.mount_from.push_back(origin.name());
        return {blob.digest, blob.size,
                upload(destination_, wanted, services_.config, services_.listener, services_.cancel)};
    }

    const std::vector<Repository>& sources_;
    Repository destination_;
    const CopyServices& services_;
    std::set<oci::Digest> manifests_;
    std::set<oci::Digest> blobs_;
    std::vector<SentBlob> copied_;
};

}  // namespace

Copied copy_image(const std::vector<Repository>& sources, const std::string& reference, Repository destination,
                  const oci::Reference& name, const std::optional<oci::Platform>& platform,
                  const CopyServices& services) {
    ManifestDocument document = get_manifest(sources, reference);
    for (int depth = 0; platform && document.is_index(); ++depth) {
        if (depth == deepest_index) throw Error(ErrorCode::corrupt, "indexes in indexes without end");
        const std::vector<oci::Descriptor> manifests = oci::Index::parse(document.bytes).manifests;
        const auto& chosen = oci::choose_platform(manifests, *platform, sources.back().str() + " " + reference);
        document = get_manifest(sources, chosen);
    }
    if (name.digest && *name.digest != document.digest) {
        throw Error(ErrorCode::usage,
                    name.familiar() + " can't be what " + sources.back().str() + " has, whose digest is " +
                        document.digest.str(),
                    "leave out what follows @");
    }
    const std::string tag = name.tag.empty() ? document.digest.str() : name.tag;
    if (destination.find_manifest(tag, destination.push_scope()) == document.digest) return {document.descriptor(), {}};
    Copy copy(sources, std::move(destination), services);
    copy.run(document, tag);
    return {document.descriptor(), copy.take_blobs()};
}

}  // namespace mkimg::registry

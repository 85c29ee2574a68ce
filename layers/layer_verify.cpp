#include "layers/layer_verify.h"

#include <fcntl.h>

#include "base/error.h"
#include "layers/apply.h"
#include "layers/layer_store_state.h"
#include "layers/root_metadata.h"
#include "layers/tree_tar.h"

namespace mkimg::layers {
namespace {

constexpr const char* not_its_digest = "does not match its digest";

// Topmost first.
std::vector<UniqueFd> open_below(oci::Store& store, std::optional<oci::ChainId> at) {
    std::vector<UniqueFd> fds;
    while (at) {
        fds.push_back(open_diff(store, *at));
        const auto row = load_layer(store.db(), *at);
        if (!row) throw Error(ErrorCode::corrupt, "layer " + at->str() + " below it is missing");
        at = row->layer.parent;
    }
    return fds;
}

std::string verify_foreign(oci::Store& store, const LayerRow& row, int directory) {
    const auto digest = any_blob(store, row.layer.diff);
    if (!digest) return "was made by another tool, and its blob is missing";
    const UniqueFd file = store.open_blob(*digest);
    FdSource bytes(file.get());
    const auto plain = decompress(bytes);
    HashingSource hashed(*plain);
    oci::WorkDir work = store.make_work_dir();
    make_directory(work.fd(), "diff", 0755);
    const UniqueFd fresh = open_at(work.fd(), "diff", O_RDONLY | O_DIRECTORY);
    parent_root(store, row.layer.parent).apply(fresh.get());
    const auto below = open_below(store, row.layer.parent);
    const auto lower = descriptors(below);
    apply_tar(hashed, fresh.get(), {.lower = lower});
    if (oci::DiffId(hashed.digest()) != row.layer.diff) return "its blob " + digest->str() + " has other content";
    return same_but_for_times(directory, fresh.get()) ? "" : "its directory differs from its blob";
}

}  // namespace

std::string verify_blob(oci::Store& store, const std::string& digest) {
    const auto id = oci::Digest::parse(digest);
    if (!id) return "is no SHA-256 digest";
    const UniqueFd file = store.open_blob(*id);
    FdSource source(file.get());
    HashingSink hash;
    copy(source, hash);
    hash.finish();
    return oci::Digest(hash.digest()) == *id ? "" : not_its_digest;
}

std::string verify_layer(oci::Store& store, const std::string& chain) {
    const auto id = oci::ChainId::parse(chain);
    if (!id) return "is no SHA-256 digest";
    const auto row = load_layer(store.db(), *id);
    if (!row) return "its record can't be read";
    const Layer& layer = row->layer;
    if (oci::chain_id(layer.parent, layer.diff) != layer.chain) return "is not the ChainID of its parent and DiffID";
    if (layer.parent && !load_layer(store.db(), *layer.parent))
        return "its parent " + layer.parent->str() + " is missing";
    const UniqueFd directory = open_diff(store, layer.chain);
    if (!row->own) return verify_foreign(store, *row, directory.get());
    HashingSink hash;
    write_own_tar(store, layer, hash);
    hash.finish();
    return oci::DiffId(hash.digest()) == layer.diff ? "" : not_its_digest;
}

}  // namespace mkimg::layers

#include "builder/step.h"

#include <fcntl.h>

#include <ctime>

#include "base/overlay.h"
#include "base/passwd.h"
#include "base/tree_path.h"

namespace mkimg::builder {

StepOutcome cached_or_made(const CacheKey& key, const StageState& state, const StepServices& services,
                           const std::function<void(layers::Snapshot&)>& make) {
    StepOutcome outcome;
    if (!services.request.no_cache) {
        if (const auto hit = services.cache.find(key)) {
            outcome.cached = true;
            outcome.created = hit->created;
            if (hit->made_layer) outcome.layer = services.layers.find(*hit->chain);
            return outcome;
        }
    }
    layers::Snapshot snapshot = services.layers.prepare(state.chain);
    make(snapshot);
    services.cancel.check();
    layers::CommitOptions options;
    options.epoch = services.request.epoch;
    outcome.layer = services.layers.commit(std::move(snapshot), options);
    CachedStep record;
    record.made_layer = outcome.layer.has_value();
    record.chain = outcome.layer ? std::optional(outcome.layer->chain) : state.chain;
    record.created = services.request.epoch.value_or(std::time(nullptr));
    outcome.created = services.cache.put(key, record);
    return outcome;
}

StepOutcome workdir_step(const std::string& directory, const StageState& state, const StepServices& services) {
    CacheKey key("WORKDIR", state.chain);
    key.field("directory", directory)
        .field("user", state.config.user)
        .field("epoch", services.request.epoch ? std::to_string(*services.request.epoch) : "");
    return cached_or_made(key, state, services, [&](layers::Snapshot& snapshot) {
        std::vector<int> lower;
        for (const UniqueFd& fd : snapshot.lower) lower.push_back(fd.get());
        const UniqueFd root = mount_overlay({lower, snapshot.upper.get(), snapshot.work.get()});
        // What is made belongs to USER, who is to work there; BuildKit and Buildah do the same.
        const UserIds user = resolve_user(root.get(), state.config.user);
        NewDirectory fresh;
        fresh.uid = user.uid;
        fresh.gid = user.gid;
        fresh.mtime = services.request.epoch;
        make_directories_in_root(root.get(), directory, fresh);
    });
}

}  // namespace mkimg::builder

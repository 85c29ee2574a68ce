#include "builder/assemble.h"

#include <ctime>

#include "base/text.h"

namespace mkimg::builder {
namespace {

// Sets the times that this build decides: the image's own, and those of steps without a layer.
void set_times(oci::ImageConfig& config, std::size_t first_own, std::int64_t time) {
    config.created = time;
    for (std::size_t i = first_own; i < config.history.size(); ++i) {
        if (config.history[i].empty_layer) config.history[i].created = time;
    }
}

}  // namespace

oci::Digest assemble_image(StageState state, const BuildRequest& request, oci::Store& store, BuildCache& cache) {
    oci::ImageConfig& config = state.config;
    for (const auto& [name, value] : request.labels) config.labels[name] = value;
    std::int64_t time = 0;
    if (request.epoch) {
        time = *request.epoch;
        for (std::size_t i = state.first_own_history; i < config.history.size(); ++i) config.history[i].created = time;
    } else {
        set_times(config, state.first_own_history, 0);
        const std::string key = oci::digest_of(config.to_json()).hex();
        const auto known = cache.memo("created", key);
        if (const auto first = known ? parse_u64(*known) : std::nullopt) {
            time = static_cast<std::int64_t>(*first);
        } else {
            time = std::time(nullptr);
            cache.put_memo("created", key, std::to_string(time));
        }
    }
    set_times(config, state.first_own_history, time);
    const oci::Digest id = store.put_blob(config.to_json());
    store.add_image(id);
    return id;
}

}  // namespace mkimg::builder

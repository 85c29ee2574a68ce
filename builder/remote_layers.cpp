#include "builder/remote_layers.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "registry/fetch.h"

namespace mkimg::builder {
namespace {

using Candidates = std::vector<RemoteLayers::Candidate>;

// False where what the transfer brought is not the blob: then nothing of it stays.
bool arrived(registry::Fetch& fetch) {
    try {
        fetch.wait();
        return true;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
        return false;
    }
}

// Unpacks while the transfer runs.
void unpack(layers::LayerStore& layers, const registry::FetchServices& services, const RemoteLayers::Candidate& from,
            std::unique_ptr<registry::Fetch> fetch) {
    const oci::LayerOrigin& origin = from.origin;
    const layers::LayerStore::Blob blob{origin.blob.digest, origin.blob.size};
    std::vector<registry::Repository> sources = from.sources;
    for (;;) {
        const std::unique_ptr<Source> bytes = fetch->open();
        try {
            layers.add(origin.parent, *bytes, origin.diff, blob);
            return;
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt || arrived(*fetch) || !fetch->try_again(sources)) throw;
        }
        fetch = std::make_unique<registry::Fetch>(services, sources, origin.blob);
    }
}

}  // namespace

Candidates RemoteLayers::candidates(const oci::ChainId& chain) {
    Candidates found;
    for (oci::LayerOrigin& origin : oci::origins_of(store_, chain)) {
        auto sources = registries_.sources({origin.registry, origin.repository, {}, std::nullopt});
        const auto same = std::find_if(found.begin(), found.end(), [&](const Candidate& other) {
            return other.origin.blob.digest == origin.blob.digest && other.origin.blob.size == origin.blob.size;
        });
        if (same == found.end()) {
            found.push_back({std::move(origin), std::move(sources)});
        } else {
            same->sources.insert(same->sources.end(), sources.begin(), sources.end());
        }
    }
    return found;
}

registry::FetchServices RemoteLayers::services() {
    return {store_, registries_.transfers(), registries_.config().retries(), listener_, registries_.cancel()};
}

void RemoteLayers::fetch(const oci::ChainId& top) {
    const std::lock_guard lock(mutex_);
    // Lowest last.
    std::vector<Candidates> missing;
    for (std::optional<oci::ChainId> at = top; at && !layers_.find(*at);) {
        Candidates found = candidates(*at);
        if (found.empty()) return;
        at = found.front().origin.parent;
        missing.push_back(std::move(found));
    }
    if (missing.empty()) return;

    const registry::FetchServices with = services();
    std::vector<std::unique_ptr<registry::Fetch>> running;
    for (auto layer = missing.rbegin(); layer != missing.rend(); ++layer) {
        running.push_back(std::make_unique<registry::Fetch>(with, layer->front().sources, layer->front().origin.blob));
    }
    std::size_t next = 0;
    for (auto layer = missing.rbegin(); layer != missing.rend(); ++layer) {
        std::unique_ptr<registry::Fetch> fetch = std::move(running[next++]);
        for (std::size_t i = 0;; ++i) {
            const Candidate& from = (*layer)[i];
            try {
                if (i > 0) fetch = std::make_unique<registry::Fetch>(with, from.sources, from.origin.blob);
                unpack(layers_, with, from, std::move(fetch));
                break;
            } catch (Error& error) {
                const bool last = i + 1 == layer->size();
                // The blob itself is at fault, not its way here.
                const bool lies = error.code() == ErrorCode::corrupt && store_.has_blob(from.origin.blob.digest);
                if (lies) oci::forget_origin(store_, from.origin);
                if (last || error.code() == ErrorCode::cancelled) {
                    throw std::move(error.add_context("fetch layer " + from.origin.blob.digest.str() + " of " +
                                                      from.sources.back().str()));
                }
            }
        }
    }
}

}  // namespace mkimg::builder

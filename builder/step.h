// The instructions that can change files: RUN, COPY, ADD, WORKDIR. Each looks in the cache first,
// and else works in a snapshot that is committed as a layer.
#pragma once

#include <cstdint>
#include <optional>

#include "base/cancel.h"
#include "base/thread_pool.h"
#include "builder/build_log.h"
#include "builder/build_request.h"
#include "builder/cache.h"
#include "builder/context.h"
#include "builder/plan.h"
#include "builder/progress.h"
#include "builder/scope.h"
#include "builder/stage_state.h"
#include "layers/layer_store.h"
#include "oci/store.h"
#include "sandbox/sandbox.h"

namespace mkimg::builder {

// What every step of a build shares; all borrowed, and outlives the steps.
struct StepServices {
    const BuildRequest& request;
    oci::Store& store;
    layers::LayerStore& layers;
    sandbox::Launcher& launcher;
    BuildCache& cache;
    const BuildContext& context;
    ThreadPool& pool;
    Progress& progress;
    BuildLog& log;
    const Cancellation& cancel;
    const BuildArgs& args;
    char escape = '\\';
};

// Where COPY --from reads: the layers of a finished stage or of an image.
struct CopySourceLayers {
    std::optional<oci::ChainId> chain;
};

struct StepOutcome {
    std::optional<layers::Layer> layer;  // nothing where no file changed
    std::int64_t created = 0;            // unix seconds
    bool cached = false;
};

StepOutcome run_step(const parser::Instruction& line, const StepInfo& info, const StageState& state,
                     const StepServices& services);
// `from` is null for the context.
StepOutcome copy_step(const parser::Instruction& line, const CopySourceLayers* from, const StageState& state,
                      const StepServices& services);
// The directory is made where it is missing. `directory` is absolute and clean.
StepOutcome workdir_step(const std::string& directory, const StageState& state, const StepServices& services);

// The part they share: `make` fills a snapshot when the cache has no answer.
StepOutcome cached_or_made(const CacheKey& key, const StageState& state, const StepServices& services,
                           const std::function<void(layers::Snapshot&)>& make);

}  // namespace mkimg::builder

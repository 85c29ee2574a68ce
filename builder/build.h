// `mkimg build`, from the request to the image.
#pragma once

#include "base/cancel.h"
#include "base/thread_pool.h"
#include "builder/build_request.h"
#include "builder/progress.h"
#include "builder/remote_layers.h"
#include "layers/layer_store.h"
#include "oci/digest.h"
#include "oci/store.h"
#include "registry/registries.h"
#include "sandbox/sandbox.h"

namespace mkimg::builder {

// What a build works with; all borrowed.
struct BuildTools {
    oci::Store& store;
    layers::LayerStore& layers;
    registry::Registries& registries;
    RemoteLayers& remote;
    ThreadPool& pool;
    sandbox::Launcher& launcher;  // started before the process had threads
    Progress& progress;
    const Cancellation& cancel;
};

struct BuildSummary {
    oci::Digest image;    // the image ID
    unsigned ran = 0;     // steps that were executed
    unsigned cached = 0;  // steps that the cache answered
};

// Builds, tags, and writes every output asked for. Nothing half-made is left behind when it throws.
BuildSummary build(const BuildRequest& request, const BuildTools& tools);

}  // namespace mkimg::builder

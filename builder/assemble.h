// From the target's state to an image in the store.
#pragma once

#include <string>

#include "builder/build_request.h"
#include "builder/cache.h"
#include "builder/stage_state.h"
#include "oci/store.h"

namespace mkimg::builder {

// Writes the image config and returns its digest, the image ID. Equal inputs give equal bytes: times
// are the epoch where one is given; else layers carry the time when they were first made, and the
// image the time when this very image was first built.
oci::Digest assemble_image(StageState state, const BuildRequest& request, oci::Store& store, BuildCache& cache);

}  // namespace mkimg::builder

// Images that a recipe builds on.
#pragma once

#include <string>

#include "builder/plan.h"
#include "layers/layer_store.h"
#include "oci/store.h"

namespace mkimg::builder {

// What FROM and COPY --from may name besides a stage: an image of the store by name or ID, or
// oci-layout://DIR[:TAG][@DIGEST], oci-archive:FILE[:TAG], docker-archive:FILE[:REF], which are read into
// the store. Throws Error(not_found) that says what there is, Error(unsupported) for an image of another
// platform.
ResolvedImage find_base_image(const std::string& reference, oci::Store& store, layers::LayerStore& layers);

}  // namespace mkimg::builder

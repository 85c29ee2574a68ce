// Images that a recipe builds on.
#pragma once

#include <string>

#include "builder/plan.h"
#include "builder/progress.h"
#include "builder/pull_policy.h"
#include "layers/layer_store.h"
#include "oci/store.h"
#include "registry/registries.h"

namespace mkimg::builder {

// Where images are looked for; all borrowed.
struct ImageSources {
    oci::Store& store;
    layers::LayerStore& layers;
    registry::Registries& registries;
    PullPolicy pull;
    Progress& progress;
};

// What FROM and COPY --from may name besides a stage: an image of the store by name or ID; an image of a
// registry, which gets its name in the store and whose layers stay where they are until a step needs them;
// oci-layout://DIR[:TAG][@DIGEST], oci-archive:FILE[:TAG], docker-archive:FILE[:REF], which are read into the
// store. A name with a digest that the store has asks no registry, whatever the policy. Throws
// Error(not_found) that says what there is, Error(unsupported) for an image of another platform.
ResolvedImage find_base_image(const std::string& reference, const ImageSources& sources);

// The image that the name stands for in its registry now, named so in the store. No layer is fetched.
oci::Digest pull_name(const oci::Reference& name, const oci::Platform& platform, oci::Store& store,
                      registry::Registries& registries);

}  // namespace mkimg::builder

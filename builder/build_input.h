// What a build reads before it plans: the recipe, the context and its ignore rules.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "builder/build_request.h"
#include "builder/context.h"
#include "oci/store.h"

namespace mkimg::builder {

struct BuildInput {
    std::optional<oci::WorkDir> unpacked;  // of a context that came as a tar on stdin
    std::unique_ptr<BuildContext> context;
    std::string recipe_text;
    std::string recipe_name;  // as errors show it
};

// Throws Error(not_found, usage) where the context or the recipe can't be read. Standard input is
// read where the request says "-".
BuildInput read_input(const BuildRequest& request, oci::Store& store);

}  // namespace mkimg::builder

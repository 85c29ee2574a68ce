// From stages to what must be built: bases and COPY --from resolved to edges, ONBUILD triggers
// put in, stages that the target doesn't need left out, and what mkimg can't do refused, before
// anything runs.
#pragma once

#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/scope.h"
#include "oci/digest.h"
#include "oci/image_config.h"
#include "parser/instruction.h"

namespace mkimg::builder {

// An image that exists already: from the store, a layout or an archive.
struct ResolvedImage {
    oci::Digest id;
    oci::ImageConfig config;
    std::optional<oci::ChainId> chain;  // nothing for an image without layers
};

// Finds an image by what FROM or --from says. Throws Error(not_found, corrupt, unsupported).
using ImageResolver = std::function<ResolvedImage(const std::string& reference)>;

// Where COPY --from takes its files.
struct CopyOrigin {
    std::optional<std::size_t> stage;  // position in Plan::stages
    std::optional<ResolvedImage> image;
};

struct PlannedStep {
    const parser::Instruction* instruction = nullptr;  // owned by the recipe or by Plan::triggers
    std::optional<CopyOrigin> origin;                  // COPY --from
};

struct PlannedStage {
    std::string label;                        // its name, else its number
    const parser::Stage* stage = nullptr;     // owned by the recipe
    std::optional<std::size_t> base_stage;    // position in Plan::stages
    std::optional<ResolvedImage> base_image;  // neither: scratch
    std::vector<PlannedStep> steps;           // ONBUILD triggers of the base first
};

struct Plan {
    std::vector<PlannedStage> stages;  // only those needed; each after those it needs; the target last
    ArgScope global_args;
    std::list<parser::Instruction> triggers;
};

struct PlanInput {
    const parser::Recipe& recipe;
    std::string target;  // "" is the last stage
    oci::Platform platform;
    BuildArgs& args;
    ImageResolver resolve;
};

// Throws one Error(recipe or unsupported) that carries all faults found.
Plan make_plan(const PlanInput& input);

}  // namespace mkimg::builder

// Executes a plan: every step of every needed stage as a vertex of one graph.
#pragma once

#include <vector>

#include "builder/plan.h"
#include "builder/stage_state.h"
#include "builder/step.h"

namespace mkimg::builder {

struct BuildResult {
    StageState state;     // of the target
    unsigned ran = 0;     // steps that were executed
    unsigned cached = 0;  // steps that the cache answered
};

// Runs all stages of the plan, up to `jobs` steps side by side, and returns the target's result.
// Throws what the first failing step threw, with the place in the recipe.
BuildResult run_stages(const Plan& plan, const StepServices& services, BuildArgs& args,
                       const std::map<std::string, std::string, std::less<>>& predefined, unsigned jobs);

// The instruction as history and progress show it: one line, flags included, nothing expanded.
std::string summary(const parser::Instruction& line);

}  // namespace mkimg::builder

#include "builder/build.h"

#include <map>

#include "base/error.h"
#include "base/text.h"
#include "builder/assemble.h"
#include "builder/build_input.h"
#include "builder/build_log.h"
#include "builder/cache.h"
#include "builder/images.h"
#include "builder/outputs.h"
#include "builder/plan.h"
#include "builder/scope.h"
#include "builder/stages.h"

namespace mkimg::builder {
namespace {

// All faults of the recipe in one Error.
void throw_faults(const std::vector<Error>& faults) {
    if (faults.empty()) return;
    Error first = faults.front();
    for (std::size_t i = 1; i < faults.size(); ++i) first.add_further(faults[i]);
    throw first;
}

std::vector<oci::Reference> parse_tags(const std::vector<std::string>& tags) {
    std::vector<oci::Reference> names;
    for (const std::string& tag : tags) {
        names.push_back(oci::Reference::parse(tag));
        oci::Store::check_new_name(names.back());
    }
    return names;
}

oci::Platform target_platform(const BuildRequest& request) {
    oci::Platform host = oci::Platform::host();
    if (request.platform.empty()) return host;
    if (!(oci::Platform::parse(request.platform) == host)) {
        throw Error(ErrorCode::unsupported, "--platform " + request.platform + ": building for another platform than " +
                                                host.str() + " is not supported yet");
    }
    return host;
}

void warn_unused(const BuildArgs& args, Progress& progress) {
    const std::vector<std::string> unused = args.unused();
    if (unused.empty()) return;
    progress.warning({"", "--build-arg " + join(unused, ", ") + ": no ARG of the recipe takes it", {}});
}

}  // namespace

BuildSummary build(const BuildRequest& request, const BuildTools& tools) {
    // What is wrong with the command line is told before anything is read.
    const std::vector<oci::Reference> names = parse_tags(request.tags);
    check_outputs(request, names);
    const oci::Platform platform = target_platform(request);

    // The recipe comes first, and all that is wrong with it at once.
    const BuildInput input = read_input(request, tools.store);
    const parser::ParseResult parsed = parser::parse_recipe(input.recipe_text, input.recipe_name);
    for (const parser::Warning& warning : parsed.recipe.warnings) tools.progress.warning(warning);
    throw_faults(parsed.errors);

    // Which stages the target needs, from which bases. Base images are resolved to their configs here;
    // what this version can't execute is refused here, before anything runs.
    BuildArgs args(request);
    const ImageSources sources{tools.store, tools.layers, tools.registries, request.pull, tools.progress};
    std::map<std::string, ResolvedImage> found;
    const Plan plan = make_plan({parsed.recipe, request.target, platform, args, [&](const std::string& reference) {
                                     const auto known = found.find(reference);
                                     if (known != found.end()) return known->second;
                                     return found.emplace(reference, find_base_image(reference, sources)).first->second;
                                 }});

    // Every step side by side with those it doesn't wait for: found in the cache, or made.
    BuildCache cache(tools.store, tools.layers);
    BuildLog log(tools.store);
    const StepServices services{request, tools.store,    tools.layers, tools.launcher,
                                cache,   *input.context, tools.pool,   tools.progress,
                                log,     tools.cancel,   args,         parsed.recipe.directives.escape};
    const auto predefined = platform_args(platform, oci::Platform::host(), plan.stages.back().stage->name);
    const unsigned jobs = request.jobs != 0 ? request.jobs : tools.pool.size();
    BuildResult result = run_stages(plan, services, args, predefined, jobs);
    warn_unused(args, tools.progress);

    // The image exists from here on; names point to it only after what it is made of is on the disk.
    const oci::Digest image = assemble_image(std::move(result.state), request, tools.store, cache);
    if (result.ran != 0) tools.store.sync();
    for (const oci::Reference& name : names) tools.store.tag(name, image);

    // What the user asked to have besides the image in the store.
    tools.cancel.check();
    write_outputs(request, names, image, tools);
    return {image, result.ran, result.cached};
}

}  // namespace mkimg::builder

// What a build leaves besides the image in the store: archives, trees, and the files of digests.
#pragma once

#include <vector>

#include "builder/build.h"
#include "builder/build_request.h"
#include "oci/digest.h"
#include "oci/reference.h"

namespace mkimg::builder {

// Throws Error(usage) for outputs that can't be written whatever the build makes: a push without a name.
void check_outputs(const BuildRequest& request, const std::vector<oci::Reference>& names);

// Writes and pushes every output, then --iidfile and --metadata-file.
void write_outputs(const BuildRequest& request, const std::vector<oci::Reference>& names, const oci::Digest& image,
                   const BuildTools& tools);

}  // namespace mkimg::builder

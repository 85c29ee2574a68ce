// What a build leaves besides the image in the store: archives, trees, and the files of digests.
#pragma once

#include <vector>

#include "builder/build.h"
#include "builder/build_request.h"
#include "oci/digest.h"
#include "oci/reference.h"

namespace mkimg::builder {

// Writes every output, then --iidfile and --metadata-file.
void write_outputs(const BuildRequest& request, const std::vector<oci::Reference>& names, const oci::Digest& image,
                   const BuildTools& tools);

}  // namespace mkimg::builder

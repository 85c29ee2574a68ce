#include "builder/outputs.h"

#include "base/atomic_file.h"
#include "builder/export.h"

namespace mkimg::builder {

void write_outputs(const BuildRequest& request, const std::vector<oci::Reference>& names, const oci::Digest& image,
                   const BuildTools& tools) {
    const ExportImage wanted{image, names};
    ExportOptions options;
    options.epoch = request.epoch;
    // The metadata are those of the last output that has a manifest.
    Exported described{image, std::nullopt, names};
    for (const OutputSpec& output : request.outputs) {
        if (output.type == OutputType::cache_only) continue;
        tools.cancel.check();
        const auto written = export_images(tools.store, tools.layers, std::span(&wanted, 1), output, options);
        if (!written.empty() && written[0].manifest) described = written[0];
        if (output.destination != "-") tools.progress.note("wrote " + output.destination);
    }
    if (!request.iid_file.empty()) write_file_atomically(request.iid_file, image.str());
    if (!request.metadata_file.empty()) write_file_atomically(request.metadata_file, described.metadata_json());
}

}  // namespace mkimg::builder

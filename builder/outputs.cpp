#include "builder/outputs.h"

#include <algorithm>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/text.h"
#include "builder/export.h"
#include "builder/push.h"

namespace mkimg::builder {
namespace {

// The tags and what `name=` adds.
std::vector<oci::Reference> names_of(const OutputSpec& output, const std::vector<oci::Reference>& tags) {
    std::vector<oci::Reference> names = tags;
    if (output.name.empty()) return names;
    for (const std::string& part : split(output.name, ',')) {
        const auto name = oci::Reference::parse(trim(part));
        oci::Store::check_new_name(name);
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    return names;
}

Exported push(const OutputSpec& output, const std::vector<oci::Reference>& names, const oci::Digest& image,
              const BuildTools& tools) {
    PushOptions options;
    if (output.compression_given) options.compression = output.compression;
    if (output.oci_media_types_given) options.oci_media_types = output.oci_media_types;
    options.annotations = output.annotations;
    const PushServices services{tools.store, tools.layers, tools.remote, tools.registries,
                                [&](const registry::Transfer& transfer) { tools.progress.transfer(transfer); }};
    Exported exported{image, std::nullopt, names};
    for (const Pushed& pushed : push_image(services, image, names, options)) {
        exported.manifest = pushed.manifest;
        for (const oci::Reference& name : pushed.names) {
            const char* what = pushed.blobs.empty() ? "nothing to push: the registry has " : "pushed ";
            tools.progress.note(what + name.str() + "@" + pushed.manifest.digest.str());
        }
    }
    return exported;
}

}  // namespace

void check_outputs(const BuildRequest& request, const std::vector<oci::Reference>& names) {
    for (const OutputSpec& output : request.outputs) {
        if (output.type != OutputType::image || !output.push || !names_of(output, names).empty()) continue;
        throw Error(ErrorCode::usage, "a push needs to know where to: the image has no name",
                    "add -t HOST/NAME:TAG, or name=HOST/NAME:TAG to the output");
    }
}

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
        if (output.type == OutputType::image) {
            const auto all = names_of(output, names);
            for (const oci::Reference& name : all) tools.store.tag(name, image);
            if (output.push) described = push(output, all, image, tools);
            continue;
        }
        const auto written = export_images(tools.store, tools.layers, std::span(&wanted, 1), output, options);
        if (!written.empty() && written[0].manifest) described = written[0];
        if (output.destination != "-") tools.progress.note("wrote " + output.destination);
    }
    if (!request.iid_file.empty()) write_file_atomically(request.iid_file, image.str());
    if (!request.metadata_file.empty()) write_file_atomically(request.metadata_file, described.metadata_json());
}

}  // namespace mkimg::builder

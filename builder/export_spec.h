// What the user wants written, and where: the value of `build --output`.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "layers/compression.h"

namespace mkimg::builder {

enum class OutputType {
    oci,         // an OCI image layout, as a tar or a directory
    docker,      // what `docker load` reads
    local,       // the merged tree as files in a directory
    tar,         // the merged tree as a tar
    image,       // the image in the store, and with `push` in its registry
    cache_only,  // nothing but the store
};

struct OutputSpec {
    OutputType type = OutputType::cache_only;
    std::string destination;  // a file or directory; "-" is stdout
    bool tar = true;          // oci: false writes a directory
    // Of the layers. Docker archives hold plain tars unless asked otherwise. Without a level, a layer that
    // came compressed in that format keeps its form (force-compression sets one).
    layers::CompressionSpec compression;
    bool compression_given = false;  // false: pushed layers keep the form that they came in
    bool push = false;               // image: to the registries that its names say
    bool oci_media_types = true;
    bool oci_media_types_given = false;  // false: an image that was pulled keeps its manifest when it is pushed
    std::string name;                    // of the image, besides the tags; several with commas
    std::map<std::string, std::string> annotations;  // of the manifest
};

// `type=oci,dest=FILE,…` with fields quoted as CSV; a bare path is type=local, "-" is type=tar to
// stdout. Throws Error(usage) that names the field, and the nearest one where it is unknown.
OutputSpec parse_output(std::string_view text);

}  // namespace mkimg::builder

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
    cache_only,  // nothing but the store
};

struct OutputSpec {
    OutputType type = OutputType::cache_only;
    std::string destination;  // a file or directory; "-" is stdout
    bool tar = true;          // oci: false writes a directory
    // Of the layers. Docker archives hold plain tars unless asked otherwise. Without a level, a layer that
    // came compressed in that format keeps its form (force-compression sets one).
    layers::CompressionSpec compression;
    bool oci_media_types = true;
    std::string name;                                // of the image in the archive; more than the tags; may be empty
    std::map<std::string, std::string> annotations;  // of the manifest
};

// `type=oci,dest=FILE,…` with fields quoted as CSV; a bare path is type=local, "-" is type=tar to
// stdout. Throws Error(usage) that names the field, and the nearest one where it is unknown.
OutputSpec parse_output(std::string_view text);

}  // namespace mkimg::builder

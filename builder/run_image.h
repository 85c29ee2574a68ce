// `mkimg run`: an image's command in the sandbox of RUN, its changes thrown away afterwards.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "layers/layer_store.h"
#include "oci/store.h"
#include "sandbox/sandbox.h"

namespace mkimg::builder {

struct RunImage {
    std::vector<std::string> command;       // instead of CMD; behind the entry point
    std::vector<std::string> env;           // NAME=VALUE, or NAME from mkimg's own environment
    std::vector<std::string> volumes;       // SRC:DST[:ro|rw], SRC a host path
    std::string user;                       // "" is the image's
    std::string working_dir;                // "" is the image's
    std::optional<std::string> entrypoint;  // "" clears the image's
    bool own_network = false;               // only lo, instead of the host's
    bool keep_stdin = false;                // mkimg's stdin instead of /dev/null
};

// The snapshot goes when this goes, after the container.
struct RunningImage {
    layers::Snapshot snapshot;
    sandbox::Container container;
};

// Starts the command with mkimg's stdout and stderr. Throws Error(usage) for a volume or command that
// can't be meant.
RunningImage run_image(const oci::Digest& image, const RunImage& request, oci::Store& store, layers::LayerStore& layers,
                       sandbox::Launcher& launcher);

}  // namespace mkimg::builder

// What one `mkimg build` was asked to do, free of any command-line library.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "builder/export_spec.h"
#include "builder/pull_policy.h"

namespace mkimg::builder {

enum class NetworkMode { standard, none, host };

struct BuildRequest {
    std::string context = ".";  // a directory, or "-" for a recipe or a tar on stdin
    std::string file;           // the recipe; "" is Dockerfile, then Containerfile; "-" is stdin
    std::vector<std::string> tags;
    // Nothing as value: taken from mkimg's own environment.
    std::vector<std::pair<std::string, std::optional<std::string>>> build_args;
    std::map<std::string, std::string> labels;
    std::string target;  // stage name or number; "" is the last one
    std::string platform;
    bool no_cache = false;
    NetworkMode network = NetworkMode::standard;
    std::vector<std::pair<std::string, std::string>> extra_hosts;  // name, address
    std::vector<OutputSpec> outputs;
    PullPolicy pull = PullPolicy::missing;
    std::optional<std::int64_t> epoch;  // SOURCE_DATE_EPOCH, unix seconds
    unsigned jobs = 0;                  // steps side by side; 0: one per CPU
    std::string iid_file;
    std::string metadata_file;
};

}  // namespace mkimg::builder

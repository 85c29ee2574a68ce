// The variables of a stage: ENV, ARG, the values given with --build-arg, and what is predefined.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "builder/build_request.h"
#include "oci/image_config.h"
#include "oci/platform.h"

namespace mkimg::builder {

// Values from the command line. Remembers which were used, for the warning about the others.
class BuildArgs {
  public:
    explicit BuildArgs(const BuildRequest& request);

    std::optional<std::string> value(std::string_view name) const;
    // HTTP_PROXY and its kin need no ARG: RUN sees them, history and cache keys do not.
    std::vector<std::pair<std::string, std::string>> proxies() const;
    // Any thread.
    void mark_used(std::string_view name);
    std::vector<std::string> unused() const;

  private:
    std::map<std::string, std::string, std::less<>> values_;
    std::mutex mutex_;
    std::set<std::string, std::less<>> used_;
};

bool is_predefined_proxy(std::string_view name);

struct Arg {
    std::string name;
    std::optional<std::string> value;
};

// ARGs declared so far, in order; a later declaration with a value replaces an earlier one.
class ArgScope {
  public:
    void declare(std::string_view name, std::optional<std::string> value);
    const Arg* find(std::string_view name) const;
    const std::vector<Arg>& all() const noexcept { return args_; }

  private:
    std::vector<Arg> args_;
};

// TARGETPLATFORM and its kin: FROM lines see them as they are, a stage after an ARG line.
std::map<std::string, std::string, std::less<>> platform_args(const oci::Platform& target, const oci::Platform& build,
                                                              std::string_view target_stage);

}  // namespace mkimg::builder

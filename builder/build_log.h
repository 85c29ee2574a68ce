// The whole output of a build's commands, in one file of the store.
#pragma once

#include <mutex>
#include <span>
#include <string>

#include "base/fd.h"
#include "builder/progress.h"
#include "oci/store.h"

namespace mkimg::builder {

// The file is made with the first line, so that a build that runs nothing leaves none.
class BuildLog {
  public:
    explicit BuildLog(oci::Store& store);

    // Any thread. `bytes` are put down as they come, under a heading where the step changes.
    void write(const StepInfo& step, std::span<const std::byte> bytes);
    // A path that a person can open.
    std::string path() const;

  private:
    oci::Store& store_;
    std::string name_;
    std::mutex mutex_;
    UniqueFd file_;
    unsigned last_step_ = 0;
};

}  // namespace mkimg::builder

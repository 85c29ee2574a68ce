// One item of a plan, written: a file, or a directory's contents, side by side where that pays.
#pragma once

#include <string>

#include "base/cancel.h"
#include "base/fd.h"
#include "base/passwd.h"
#include "base/thread_pool.h"
#include "builder/copy_plan.h"
#include "builder/target_path.h"

namespace mkimg::builder {

struct CopyRun {
    const CopyPlan& plan;
    ThreadPool& pool;
    const Cancellation* cancel;  // may be null
    Owner owner;                 // of what doesn't keep its own
};

// `path` is the target's in-image path, for messages. The contents of `source`, the item's
// directory, into `target`.
void copy_contents(const CopyRun& run, const CopyItem& item, const std::string& path, UniqueFd source, UniqueFd target);

// The item, which is no directory: `source_name` in the directory `source`.
void copy_single(const CopyRun& run, const CopyItem& item, const std::string& path, int source,
                 const std::string& source_name, const FileTarget& target);

// "directory/name"; the directory itself where the name is empty.
std::string join_names(const std::string& directory, const std::string& name);

// How files of a source tree are opened: never through a symlink, never waiting for a FIFO.
int open_source_file(int directory, const char* name);

}  // namespace mkimg::builder

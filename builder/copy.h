// COPY and ADD: a plan's files, written into an image's tree.
#pragma once

#include "base/cancel.h"
#include "base/thread_pool.h"
#include "builder/copy_plan.h"

namespace mkimg::builder {

// `root` is a writable view of the image's tree; every path in it is resolved inside it. Copies
// exactly what content_digest() saw, which must have been called: what has changed since is
// Error(conflict). Data is not synced, but write-back of large files is started. Calling threads
// take part in the work: it may be called from the pool itself.
void execute_copy(const CopyPlan& plan, int root, ThreadPool& pool, const Cancellation* cancel = nullptr);

}  // namespace mkimg::builder

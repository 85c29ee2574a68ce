// COPY and ADD: a plan's files, written into an image's tree.
#pragma once

#include "base/cancel.h"
#include "base/thread_pool.h"
#include "builder/copy_plan.h"

namespace mkimg::builder {

// `root` is a writable view of the image's tree; every path in it is resolved inside it. Copies
// exactly what content_digest() (or index_sources()) saw, which must have been called: what has
// changed since is Error(conflict). Data is not synced. The calling thread works too: it may be one
// of the pool's.
void execute_copy(const CopyPlan& plan, int root, ThreadPool& pool, const Cancellation* cancel = nullptr);

}  // namespace mkimg::builder

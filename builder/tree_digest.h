// Content digests of what a step reads: the slow half of its CacheKey.
#pragma once

#include <string>

#include "base/cancel.h"
#include "base/sha256.h"
#include "base/thread_pool.h"
#include "builder/copy_plan.h"

namespace mkimg::builder {

// Over what the copy makes: names as they arrive, types, modes, link targets, hard links, xattrs,
// bytes; owners where they are kept (from an image and no --chown); modes as --chmod makes them. No
// mtimes. Fills each item's index. The calling thread works too: it may be one of the pool's.
Sha256Bytes content_digest(CopyPlan& plan, ThreadPool& pool, const Cancellation* cancel = nullptr);

// Only fills each item's index, for a plan whose digest is known from an earlier build. Reads no file.
void index_sources(CopyPlan& plan, ThreadPool& pool, const Cancellation* cancel = nullptr);

// The same for a whole file or directory that a step sees as it is (RUN --mount=type=bind), with
// owners. Symlinks in `path` are followed inside the tree. Throws Error(not_found) where there is none.
Sha256Bytes content_digest(const SourceTree& tree, const std::string& path, ThreadPool& pool,
                           const Cancellation* cancel = nullptr);

}  // namespace mkimg::builder

// Content digests of what a step reads: the slow half of its CacheKey.
#pragma once

#include <string>

#include "base/sha256.h"
#include "base/thread_pool.h"
#include "builder/copy_plan.h"

namespace mkimg::builder {

// Over what the copy makes: names as they arrive, types, modes, link targets, xattrs, bytes; owners
// where they are kept (from an image and no --chown); what --chmod overrides is masked. No mtimes.
// Fills plan.indexes. Calling threads take part in the work: it may be called from the pool itself.
Sha256Bytes content_digest(CopyPlan& plan, ThreadPool& pool);

// The same for a whole file or directory that a step sees as it is (RUN --mount=type=bind), with
// owners. Throws Error(not_found) where there is none.
Sha256Bytes content_digest(const SourceTree& tree, const std::string& path, ThreadPool& pool);

}  // namespace mkimg::builder

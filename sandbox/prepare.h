// The caller's half of a start: everything that looks into the image, done before anything of the
// image runs and where an exception is just an exception.
#pragma once

#include "sandbox/mount_points.h"
#include "sandbox/request.h"
#include "sandbox/sandbox.h"

namespace mkimg::sandbox {

struct Prepared {
    Request request;
    MountPoints mount_points;
};
Prepared prepare(const Command& command);

}  // namespace mkimg::sandbox

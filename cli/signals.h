// SIGINT and SIGTERM.
#pragma once

#include "base/cancel.h"

namespace mkimg::cli {

// While it lives, the first SIGINT or SIGTERM requests the cancellation, the second one ends the process
// as if it had no handler. At most one at a time.
class CancelOnSignal {
  public:
    explicit CancelOnSignal(Cancellation& cancellation);
    CancelOnSignal(const CancelOnSignal&) = delete;
    CancelOnSignal& operator=(const CancelOnSignal&) = delete;
    ~CancelOnSignal();
};

}  // namespace mkimg::cli

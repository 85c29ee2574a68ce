// What the transfer of a blob tells whoever watches it.
#pragma once

#include <cstdint>
#include <functional>

#include "oci/digest.h"

namespace mkimg::registry {

struct Transfer {
    enum class Direction { pull, push };
    enum class State {
        running,
        done,
        exists,   // it was there already: nothing was sent
        mounted,  // the registry took it from another of its repositories
        failed,
    };
    Direction direction = Direction::pull;
    oci::Digest digest;
    std::uint64_t size = 0;
    std::uint64_t done = 0;  // bytes, of which those that an earlier try brought are a part
    State state = State::running;
};

// Called from any thread, often while a transfer runs, once when it ends. May be empty.
using TransferListener = std::function<void(const Transfer&)>;

// What became of a blob that was to be sent.
struct SentBlob {
    oci::Digest digest;
    std::uint64_t size;
    Transfer::State state;  // done, exists or mounted
};

}  // namespace mkimg::registry

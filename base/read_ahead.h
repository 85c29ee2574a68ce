// A Source that is read on a thread of its own, ahead of whoever wants its bytes: what makes them and what takes
// them run side by side.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/stream.h"

namespace mkimg {

class ReadAhead final : public Source {
  public:
    // `inner` is borrowed, and nobody else's until read() has returned 0 or this object is gone.
    explicit ReadAhead(Source& inner);
    ReadAhead(const ReadAhead&) = delete;
    ReadAhead& operator=(const ReadAhead&) = delete;
    // Waits for a read of the inner source that is under way.
    ~ReadAhead() override;

    // What the inner source throws is thrown after the bytes before it.
    std::size_t read(std::span<std::byte> buffer) override;

  private:
    struct Piece {
        std::vector<std::byte> room;
        std::size_t size = 0;  // bytes of it that were read
    };

    void run();
    // Waits for a piece to read into; false where nobody wants more.
    bool take_spare(Piece& piece);

    Source& inner_;
    Piece current_;         // the reader's
    std::size_t used_ = 0;  // bytes of it

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Piece> ready_;
    std::vector<Piece> spare_;
    bool finished_ = false;
    bool abandoned_ = false;
    std::exception_ptr failure_;
    std::thread thread_;  // last: it uses all of the above
};

}  // namespace mkimg

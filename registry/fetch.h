// A blob fetched into the store on a thread of its own, and read while it comes.
#pragma once

#include <memory>
#include <vector>

#include "base/stream.h"
#include "base/thread_pool.h"
#include "oci/store.h"
#include "registry/blob_reader.h"
#include "registry/transfer.h"

namespace mkimg::registry {

struct FetchServices {
    oci::Store& store;
    ThreadPool& transfers;
    const Retries& retries;
    TransferListener listener;
    const Cancellation& cancel;
};

class Fetch {
  public:
    // Starts as soon as a thread is free. Each blob is fetched once, however many builds want it at a time: the
    // others wait for the first, and read what it brought.
    Fetch(const FetchServices& services, std::vector<Repository> sources, oci::Descriptor blob);
    Fetch(const Fetch&) = delete;
    Fetch& operator=(const Fetch&) = delete;
    // Ends the transfer where it still runs; what it brought waits for the next try.
    ~Fetch();

    // From the first byte, as they come. The end is told only once the whole blob has been verified and lies
    // in the store; a failed transfer is thrown. For one reader at a time.
    std::unique_ptr<Source> open();
    // Until it lies in the store; throws what went wrong.
    void wait();
    // After wrong bytes, which may be those that an earlier try had left, or a mirror's: takes the source that is to be
    // asked no more from `sources`. False where none is left.
    bool try_again(std::vector<Repository>& sources) const;

  private:
    struct State;
    class Tail;
    std::shared_ptr<State> state_;
};

// Brings the blob into the store, from the first of the sources that has the right bytes.
void fetch_blob(const FetchServices& services, std::vector<Repository> sources, const oci::Descriptor& blob);

}  // namespace mkimg::registry

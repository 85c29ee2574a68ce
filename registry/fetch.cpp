#include "registry/fetch.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>

#include "base/error.h"
#include "oci/download.h"

namespace mkimg::registry {

struct Fetch::State {
    State(const FetchServices& the_services, std::vector<Repository> the_sources, oci::Descriptor the_blob)
        : services(the_services), sources(std::move(the_sources)), blob(std::move(the_blob)) {}

    void run() {
        try {
            transfer();
            finish(nullptr);
        } catch (...) {
            tell(Transfer::State::failed);
            finish(std::current_exception());
        }
    }

    void transfer() {
        throw_if_abandoned();
        auto download = oci::Download::begin(services.store, blob.digest, blob.size, services.cancel);
        if (!download) {
            set_file(services.store.open_blob(blob.digest), blob.size);
            tell(Transfer::State::exists);
            return;
        }
        const bool resumed = download->done() > 0;
        set_file(download->reader(), download->done());
        tell(Transfer::State::running);
        try {
            read_blob(
                sources, blob, download->done(),
                [&](std::span<const std::byte> bytes) {
                    throw_if_abandoned();
                    download->write(bytes);
                    set_available(download->done());
                    tell(Transfer::State::running);
                },
                services.retries, services.cancel);
            download->commit();
        } catch (...) {
            bad_start = resumed && download->discarded();
            throw;
        }
        tell(Transfer::State::done);
    }

    void throw_if_abandoned() const {
        if (abandoned) throw Error(ErrorCode::cancelled, "the transfer of blob " + blob.digest.str() + " was given up");
    }

    void set_file(UniqueFd opened, std::uint64_t bytes) {
        const std::lock_guard lock(mutex);
        file = std::move(opened);
        available = bytes;
        changed.notify_all();
    }

    void set_available(std::uint64_t bytes) {
        const std::lock_guard lock(mutex);
        available = bytes;
        changed.notify_all();
    }

    void finish(std::exception_ptr why) {
        const std::lock_guard lock(mutex);
        finished = true;
        error = std::move(why);
        changed.notify_all();
    }

    void tell(Transfer::State state) const {
        if (services.listener) {
            services.listener({Transfer::Direction::pull, blob.digest, blob.size, available, state});
        }
    }

    // Until bytes after `at` can be read, or nothing more will come. The bytes after `at` there are.
    std::uint64_t wait_for(std::uint64_t at) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return finished || (file && available > at); });
        // What is there is of no use once the whole is known to be wrong.
        if (error) std::rethrow_exception(error);
        return available - at;
    }

    const FetchServices services;
    const std::vector<Repository> sources;
    const oci::Descriptor blob;
    std::atomic<bool> abandoned{false};
    std::atomic<bool> bad_start{false};  // wrong bytes, of which an earlier try had brought some

    std::mutex mutex;
    std::condition_variable changed;
    UniqueFd file;  // set before anything is available
    std::atomic<std::uint64_t> available{0};
    bool finished = false;
    std::exception_ptr error;
};

class Fetch::Tail final : public Source {
  public:
    explicit Tail(std::shared_ptr<State> state) : state_(std::move(state)) {}

    std::size_t read(std::span<std::byte> buffer) override {
        if (at_ == state_->blob.size) {
            wait_until_finished(*state_);
            return 0;
        }
        const std::uint64_t there = state_->wait_for(at_);
        const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), there));
        for (;;) {
            const ssize_t n = ::pread(state_->file.get(), buffer.data(), want, static_cast<off_t>(at_));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno("read blob", state_->blob.digest.str());
            at_ += static_cast<std::uint64_t>(n);
            return static_cast<std::size_t>(n);
        }
    }

    static void wait_until_finished(State& state) {
        std::unique_lock lock(state.mutex);
        state.changed.wait(lock, [&] { return state.finished; });
        if (state.error) std::rethrow_exception(state.error);
    }

  private:
    std::shared_ptr<State> state_;
    std::uint64_t at_ = 0;
};

Fetch::Fetch(const FetchServices& services, std::vector<Repository> sources, oci::Descriptor blob)
    : state_(std::make_shared<State>(services, std::move(sources), std::move(blob))) {
    services.transfers.submit([state = state_] { state->run(); });
}

Fetch::~Fetch() {
    state_->abandoned = true;
    // What the services are borrowed from may go when we do.
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [this] { return state_->finished; });
}

std::unique_ptr<Source> Fetch::open() {
    return std::make_unique<Tail>(state_);
}

void Fetch::wait() {
    Tail::wait_until_finished(*state_);
}

bool Fetch::try_again(std::vector<Repository>& sources) const {
    if (!state_->bad_start) sources.erase(sources.begin());
    return !sources.empty();
}

void fetch_blob(const FetchServices& services, std::vector<Repository> sources, const oci::Descriptor& blob) {
    for (;;) {
        Fetch fetch(services, sources, blob);
        try {
            fetch.wait();
            return;
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt || !fetch.try_again(sources)) throw;
        }
    }
}

}  // namespace mkimg::registry

// Running one command in a container of its own. The Launcher is a small process forked before
// mkimg's first thread; it forks each container, so that no multithreaded process is ever forked.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace mkimg::sandbox {

enum class Network {
    host,  // also what `default` means: there is no bridge
    none,  // a namespace of its own with lo up
};

struct BindMount {
    UniqueFd source;     // O_PATH of a file or directory; the tree below it is bound
    std::string target;  // in the container; made (and unmade afterwards) where it is missing
    bool read_only = false;
};

struct Command {
    // The root file system: overlay layers, topmost first, at most 500, and where the changes go. An
    // upper of -1 makes the root read-only. The work directory must be empty: it is good for one start.
    std::vector<int> lower;  // borrowed until start() returns
    int upper = -1;          // borrowed until start() returns
    int work = -1;           // borrowed until start() returns

    std::vector<std::string> argv;  // argv[0] is looked up in env's PATH inside the container
    std::vector<std::string> env;   // "NAME=value"; HOME is added from the image's passwd where unset
    std::string user;               // as USER says it; empty is root
    std::string working_dir = "/";  // made (0755, root's) where it is missing
    Network network = Network::host;
    std::string hostname = "mkimg";
    std::vector<std::pair<std::string, std::string>> extra_hosts;  // name, address
    std::vector<BindMount> mounts;
    std::uint64_t shm_size = 64U << 20U;
    // Borrowed until start() returns.
    int stdin_fd = -1;   // -1 is /dev/null
    int stdout_fd = -1;  // must be given
    int stderr_fd = -1;  // must be given
};

// How the command ended.
struct Exit {
    int status = 0;  // exit status; 128 + signal where a signal ended it
    int signal = 0;  // 0 where none did
    // The upper directory holds only what the command did: mount points that mkimg made are gone.
};

// A container that runs. Destroying it kills everything in it and waits until it is gone.
class Container {
  public:
    Container(Container&&) noexcept;
    Container& operator=(Container&&) noexcept;
    ~Container();

    // Waits for the end. Set-up failures are thrown as Error with {operation, path, errno}; the
    // command not being found is Exit 127, not being executable 126, as a shell says it.
    Exit wait();
    // A descriptor that is readable once wait() won't block.
    int event_fd() const noexcept;
    // To the command (PID 1's child); SIGKILL kills the whole container.
    void signal(int number);

  private:
    friend class Launcher;
    struct State;
    explicit Container(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

class Launcher {
  public:
    // Forks the launcher process. Call after enter_user_namespace() and before any thread is started:
    // launcher and containers die with the thread that calls this.
    Launcher();
    Launcher(const Launcher&) = delete;
    Launcher& operator=(const Launcher&) = delete;
    ~Launcher();

    // Starts the command; any thread may call it, several containers may run at once.
    Container start(const Command& command);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace mkimg::sandbox

// What the container's process is told, and what it answers: the records of its socket.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "sandbox/channel.h"

namespace mkimg::sandbox {

struct MountRequest {
    UniqueFd tree;       // detached, with its attributes set
    std::string target;  // an absolute path in the container
    bool directory = true;
};

struct Request {
    UniqueFd root;      // the detached overlay
    UniqueFd stdin_fd;  // none is /dev/null
    UniqueFd stdout_fd;
    UniqueFd stderr_fd;
    std::vector<MountRequest> mounts;

    std::vector<std::string> argv;
    std::vector<std::string> env;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
    std::string working_dir;
    bool private_network = false;
    std::string hostname;
    std::string hosts;        // the content of /etc/hosts
    std::string resolv_conf;  // and of /etc/resolv.conf
    std::uint64_t shm_size = 0;
};

void send_request(int socket, const Request& request);
// Nothing in `root` where the stream ended: mkimg is gone, or gave up.
Request receive_request(int socket);

// What comes back: the container's pidfd from the launcher, then the command's end as wait(2) reports
// it; or why it could not be started.
void send_started(int socket, int pidfd);
void send_status(int socket, int wait_status);
void send_error(int socket, const Error& error);
struct Answer {
    enum class Kind : std::uint64_t { none, started, status, error };  // none: the sender ended without a word
    Kind kind = Kind::none;
    int wait_status = 0;
    UniqueFd pidfd;
};
// Throws the Error that was sent.
Answer receive_answer(int socket);

}  // namespace mkimg::sandbox

#include "sandbox/container.h"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <exception>

#include "base/error.h"
#include "base/tree_path.h"
#include "sandbox/file_systems.h"
#include "sandbox/init.h"
#include "sandbox/privileges.h"
#include "sandbox/request.h"

namespace mkimg::sandbox {
namespace {

// The parent is mkimg itself, outside of this pid namespace, so getppid() can't tell whether it died
// before the prctl. Its end of the socket was closed then.
void die_with_parent(int socket) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) throw_errno("arrange to die with mkimg");
    pollfd peer{socket, POLLRDHUP, 0};
    if (::poll(&peer, 1, 0) == 1 && (peer.revents & (POLLHUP | POLLRDHUP)) != 0) ::_exit(1);
}

void bring_up_loopback() {
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    if (!socket || ::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) throw_errno("bring up the loopback interface");
}

void set_hostname(const std::string& name) {
    if (::sethostname(name.data(), name.size()) != 0) throw_errno("set the host name to", name);
}

// Magic links are not followed, and there is nothing left to reach by "..": what can be opened here
// lies in the container.
void enter_working_directory(const std::string& path) {
    const UniqueFd root = open_path("/", O_PATH | O_DIRECTORY);
    const UniqueFd directory = make_directories_in_root(root.get(), path, {});
    if (::fchdir(directory.get()) != 0) throw_errno("enter the working directory", path);
}

void redirect(int from, int to) {
    if (::dup2(from, to) < 0) throw_errno("redirect the command's input and output");
}

void set_standard_streams(const Request& request, const FileSystems& systems) {
    const UniqueFd null = request.stdin_fd ? UniqueFd() : open_at(systems.dev.get(), "null", O_RDONLY);
    redirect(request.stdin_fd ? request.stdin_fd.get() : null.get(), STDIN_FILENO);
    redirect(request.stdout_fd.get(), STDOUT_FILENO);
    redirect(request.stderr_fd.get(), STDERR_FILENO);
}

// Each step in its place:
int set_up_and_run(int socket, bool private_network) {
    die_with_parent(socket);  // first: nothing of this may outlive mkimg
    ::prctl(PR_SET_NAME, "mkimg-init");
    // /proc/1 belongs to root in the container; its exe link leads to mkimg's own program file.
    if (::prctl(PR_SET_DUMPABLE, 0) != 0) throw_errno("make the container's init undumpable");
    ::umask(0022);
    if (private_network) bring_up_loopback();   // before sysfs is made, which shows the interfaces
    FileSystems systems = make_file_systems();  // while mkimg still prepares the image

    Request request = receive_request(socket);
    if (!request.root) ::_exit(0);  // mkimg gave up
    set_hostname(request.hostname);
    enter_root(request, systems);
    set_standard_streams(request, systems);
    enter_working_directory(request.working_dir);  // after the mounts: it may lie in one

    request.root.reset();  // from here on none leads to a file system but the stub's
    request.mounts.clear();
    const UniqueFd stub = std::move(systems.stub);
    systems = {};
    set_limits();
    restrict_privileges();  // last: everything above needs them
    return run_init(socket, stub.get(), request);
}

}  // namespace

void run_container(UniqueFd socket, bool private_network) noexcept {
    try {
        ::_exit(set_up_and_run(socket.get(), private_network));
    } catch (Error& error) {
        try {
            send_error(socket.get(), error.add_context("starting the container"));
        } catch (const std::exception&) {
            // mkimg is gone: nobody is left to tell
        }
    } catch (const std::exception& error) {
        try {
            send_error(socket.get(),
                       Error(ErrorCode::internal, std::string("starting the container: ") + error.what()));
        } catch (const std::exception&) {
        }
    }
    ::_exit(1);
}

}  // namespace mkimg::sandbox

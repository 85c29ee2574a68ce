#include "sandbox/command.h"

#include <linux/close_range.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>

#include "base/error.h"
#include "base/text.h"
#include "sandbox/privileges.h"

namespace mkimg::sandbox {
namespace {

constexpr int not_found = 127;
constexpr int not_executable = 126;
constexpr std::string_view default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> list;
    list.reserve(texts.size() + 1);
    for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));  // execve only reads
    list.push_back(nullptr);
    return list;
}

std::string_view search_path(const std::vector<std::string>& env) {
    for (const std::string& entry : env) {
        if (entry.starts_with("PATH=")) return std::string_view(entry).substr(5);
    }
    return default_path;
}

[[noreturn]] void give_up(int status, const std::string& program, std::string reason) {
    reason = "mkimg: exec " + printable(program) + ": " + reason + "\n";
    const ssize_t written = ::write(STDERR_FILENO, reason.data(), reason.size());
    ::_exit(written < 0 ? status : status);
}

[[noreturn]] void explain(const std::string& program, int err) {
    std::string reason = std::strerror(err);
    reason[0] = static_cast<char>(reason[0] | 0x20);
    struct stat st {};
    if (err == ENOENT && ::stat(program.c_str(), &st) == 0) {
        reason = "its interpreter (the first line of a script) or its dynamic loader is not in the image";
    }
    if (err == ENOEXEC) reason += ": no program of this machine's kind, and no #! line";
    give_up(err == ENOENT || err == ENOTDIR ? not_found : not_executable, program, reason);
}

[[noreturn]] void execute(const Request& request) {
    const std::string& name = request.argv.front();
    const std::vector<char*> argv = pointers(request.argv);
    const std::vector<char*> env = pointers(request.env);
    if (name.find('/') != std::string::npos) {
        ::execve(name.c_str(), argv.data(), env.data());
        explain(name, errno);
    }
    int refused = 0;
    std::string refused_path;
    if (!name.empty()) {
        for (const std::string& directory : split(search_path(request.env), ':')) {
            const std::string path = (directory.empty() ? "." : directory) + "/" + name;
            ::execve(path.c_str(), argv.data(), env.data());
            if (errno == ENOENT || errno == ENOTDIR) {
                struct stat st {};
                if (::stat(path.c_str(), &st) != 0) continue;  // otherwise its interpreter is what is missing
            }
            if (refused == 0) {
                refused = errno == 0 ? ENOENT : errno;
                refused_path = path;
            }
            if (refused != EACCES) break;
        }
    }
    if (refused != 0) explain(refused_path, refused);
    give_up(not_found, name, "not found in PATH (" + printable(search_path(request.env)) + ")");
}

}  // namespace

void run_command(int socket, const Request& request) noexcept {
    try {
        // A session of its own, and the terminal (if it has one) as the controlling one: job control works.
        ::setsid();
        if (::isatty(STDIN_FILENO) != 0) ::ioctl(STDIN_FILENO, TIOCSCTTY, 0);
        become_user(request);
        ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);  // all are already; this is the second lock
        execute(request);
    } catch (const Error& error) {
        try {
            send_error(socket, error);
        } catch (const std::exception&) {
            // mkimg is gone: nobody is left to tell
        }
    } catch (const std::exception&) {
    }
    ::_exit(not_executable);
}

}  // namespace mkimg::sandbox

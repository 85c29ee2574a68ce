#include "sandbox/command.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <vector>

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

ExecFailure failure(int status, const std::string& program, const std::string& reason) {
    return {status, "mkimg: exec " + printable(program) + ": " + reason + "\n"};
}

ExecFailure explain(const std::string& program, int err) {
    std::string reason = std::strerror(err);
    reason[0] = static_cast<char>(reason[0] | 0x20);
    struct stat st {};
    if (err == ENOENT && ::stat(program.c_str(), &st) == 0) {
        reason = "its interpreter (the first line of a script) or its dynamic loader is not in the image";
    }
    if (err == ENOEXEC) reason += ": no program of this machine's kind, and no #! line";
    return failure(err == ENOENT || err == ENOTDIR ? not_found : not_executable, program, reason);
}

[[noreturn]] void give_up(const ExecFailure& failure) {
    const ssize_t written = ::write(STDERR_FILENO, failure.line.data(), failure.line.size());
    ::_exit(written < 0 ? not_executable : failure.status);
}

// The path that a shell would execute.
std::string find_program(const Request& request) {
    const std::string& name = request.argv.front();
    if (name.find('/') != std::string::npos) return name;
    const std::string_view path = search_path(request.env);
    int refused = 0;
    std::string refused_path;
    if (name.empty()) give_up(failure(not_found, name, "an empty name"));
    for (const std::string& directory : split(path, ':')) {
        std::string candidate = (directory.empty() ? "." : directory) + "/" + name;
        struct stat st {};
        if (::stat(candidate.c_str(), &st) != 0) continue;
        if (S_ISREG(st.st_mode) && ::faccessat(AT_FDCWD, candidate.c_str(), X_OK, AT_EACCESS) == 0) return candidate;
        if (refused == 0) refused_path = candidate;
        refused = EACCES;
    }
    if (refused != 0) give_up(explain(refused_path, refused));
    give_up(failure(not_found, name, "not found in PATH (" + printable(path) + ")"));
}

[[noreturn]] void execute(const Request& request, int stub, int report) {
    const std::string program = find_program(request);
    write_full(report, std::string_view(program.c_str(), program.size() + 1));
    const std::string descriptor = std::to_string(report);
    std::vector<char*> argv = pointers(request.argv);
    argv.insert(argv.begin(), {const_cast<char*>(descriptor.c_str()), const_cast<char*>(program.c_str())});
    const std::vector<char*> env = pointers(request.env);
    if (::fcntl(report, F_SETFD, 0) != 0) throw_errno("keep a descriptor open");  // the stub closes it
    ::syscall(SYS_execveat, stub, "", argv.data(), env.data(), AT_EMPTY_PATH);
    if (errno == E2BIG) give_up(failure(not_executable, program, "argument list too long"));
    throw_errno("execute the command", program);
}

}  // namespace

void run_command(int socket, int stub, int report, const Request& request) noexcept {
    try {
        // A session of its own, and the terminal (if it has one) as the controlling one: job control works.
        ::setsid();
        if (::isatty(STDIN_FILENO) != 0) ::ioctl(STDIN_FILENO, TIOCSCTTY, 0);
        become_user(request);
        ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);  // all are already; this is the second lock
        execute(request, stub, report);
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

std::optional<ExecFailure> read_failure(int report) {
    // The path and its null, by run_command; then the errno, by the stub, only where exec failed.
    const std::string text = read_all(report, 1U << 16U, "the report of an exec");
    const std::size_t end = text.find('\0');
    int err = 0;
    if (end == std::string::npos || text.size() != end + 1 + sizeof err) return std::nullopt;
    std::memcpy(&err, text.data() + end + 1, sizeof err);
    return explain(text.substr(0, end), err);
}

}  // namespace mkimg::sandbox

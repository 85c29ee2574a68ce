#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "fixture.h"
#include "sandbox/user_namespace.h"

namespace mkimg::sandbox {
namespace {

constexpr const char* busybox = "/bin/busybox";

void remove_path(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const UniqueFd parent = open_path(path.substr(0, slash), O_RDONLY | O_DIRECTORY);
    remove_tree(parent.get(), path.substr(slash + 1));
}

std::string make_temporary() {
    std::string path = testing::TempDir() + "mkimg-sandbox-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) throw_errno("make a directory");
    ::chmod(path.c_str(), 0755);
    return path;
}

// Made once: a tree with /bin/busybox and links to it, as small as an image can be.
struct BusyboxTree {
    std::string path = make_temporary();
    UniqueFd root = open_path(path, O_RDONLY | O_DIRECTORY);

    BusyboxTree() {
        make_directories(root.get(), {"bin"});
        const UniqueFd bin = open_at(root.get(), "bin", O_RDONLY | O_DIRECTORY);
        write_file(bin.get(), "busybox", read_all(open_path(busybox, O_RDONLY).get(), 1U << 24U, busybox));
        if (::fchmodat(bin.get(), "busybox", 0755, 0) != 0) throw_errno("chmod");
        for (const char* applet :
             {"sh",    "true",  "cat",   "ls",    "sleep", "id",       "mkdir", "mv",     "ln",
              "rm",    "touch", "chmod", "mknod", "stat",  "grep",     "ip",    "head",   "dd",
              "chown", "kill",  "wc",    "env",   "test",  "readlink", "tty",   "setsid", "rmdir"}) {
            if (::symlinkat("busybox", bin.get(), applet) != 0) throw_errno("link", applet);
        }
    }
    BusyboxTree(const BusyboxTree&) = delete;
    BusyboxTree& operator=(const BusyboxTree&) = delete;
    ~BusyboxTree() { remove_path(path); }
};

const BusyboxTree& busybox_tree() {
    static const BusyboxTree tree;
    return tree;
}

void list_all(int directory, const std::string& prefix, std::vector<std::string>& names) {
    for (const DirEntry& entry : list_directory(directory)) {
        names.push_back(prefix + entry.name);
        if (entry.type != DT_DIR) continue;
        const UniqueFd below = open_at(directory, entry.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        list_all(below.get(), prefix + entry.name + "/", names);
    }
}

}  // namespace

void SandboxTest::SetUpTestSuite() {
    try {
        enter_user_namespace();
    } catch (const Error& error) {
        GTEST_SKIP() << "no containers on this host: " << render(error);
    }
}

void SandboxTest::SetUp() {
    root_ = make_temporary();
    launcher.emplace();
}

void SandboxTest::TearDown() {
    launcher.reset();
    layers.clear();
    upper.reset();
    work.reset();
    remove_path(root_);
}

UniqueFd SandboxTest::make_layer(const std::string& name) {
    if (::mkdir(path_of(name).c_str(), 0755) != 0) throw_errno("make directory", name);
    return open_path(path_of(name), O_RDONLY | O_DIRECTORY);
}

void SandboxTest::fresh_upper() {
    ++serial_;
    upper = make_layer("upper" + std::to_string(serial_));
    work = make_layer("work" + std::to_string(serial_));
}

Command SandboxTest::command(std::vector<std::string> argv) {
    fresh_upper();
    Command command;
    for (const UniqueFd& layer : layers) command.lower.push_back(layer.get());
    command.lower.push_back(busybox_tree().root.get());
    command.upper = upper.get();
    command.work = work.get();
    command.argv = std::move(argv);
    command.env = {"PATH=/bin"};
    return command;
}

Result SandboxTest::run(Command& command) {
    const UniqueFd out = make_output();
    const UniqueFd err = make_output();
    command.stdout_fd = out.get();
    command.stderr_fd = err.get();
    Result result;
    result.exit = launcher->start(command).wait();
    result.out = content_of(out.get());
    result.err = content_of(err.get());
    return result;
}

std::pair<Container, UniqueFd> SandboxTest::start(Command&& command) {
    Pipe pipe = make_pipe();
    command.stdout_fd = pipe.write.get();
    command.stderr_fd = pipe.write.get();
    return {launcher->start(command), std::move(pipe.read)};
}

std::vector<std::string> SandboxTest::upper_names() {
    std::vector<std::string> names;
    list_all(upper.get(), "", names);
    std::sort(names.begin(), names.end());
    return names;
}

UniqueFd make_output() {
    UniqueFd file(::memfd_create("output", MFD_CLOEXEC));
    if (!file || ::fcntl(file.get(), F_SETFL, O_APPEND) != 0) throw_errno("make a file in memory");
    return file;
}

std::string content_of(int fd) {
    std::string text(static_cast<std::size_t>(stat_fd(fd).st_size), '\0');
    if (::pread(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) throw_errno("read output");
    return text;
}

void write_file(int directory, const std::string& name, std::string_view content) {
    write_full(open_at(directory, name, O_WRONLY | O_CREAT | O_TRUNC, 0644).get(), content);
}

void make_directories(int directory, const std::vector<std::string>& names) {
    for (const std::string& name : names) make_directory(directory, name, 0755);
}

Error expect_error(ErrorCode code, const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), code) << render(error);
        return error;
    }
    ADD_FAILURE() << "no error";
    return {ErrorCode::internal, "none"};
}

}  // namespace mkimg::sandbox

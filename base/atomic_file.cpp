#include "base/atomic_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "base/error.h"

namespace mkimg {

AtomicFile::AtomicFile(int dirfd, std::string name, std::optional<mode_t> mode)
    : directory_(open_at(dirfd, ".", O_RDONLY | O_DIRECTORY)), name_(std::move(name)) {
    static std::atomic<unsigned> counter{0};
    temporary_ = ".mkimg-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
    file_.reset(::openat(directory_.get(), ".", O_RDWR | O_TMPFILE | O_CLOEXEC, mode.value_or(0666)));
    if (!file_) {
        if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) throw_errno("create", name_);
        file_ = open_at(directory_.get(), temporary_, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode.value_or(0666));
        linked_ = true;
    }
    if (mode && ::fchmod(file_.get(), *mode) != 0) throw_errno("set the mode of", name_);
}

AtomicFile::~AtomicFile() {
    if (file_ && linked_) ::unlinkat(directory_.get(), temporary_.c_str(), 0);
}

void AtomicFile::commit() {
    if (!linked_) {
        const std::string self = "/proc/self/fd/" + std::to_string(file_.get());
        if (::linkat(AT_FDCWD, self.c_str(), directory_.get(), temporary_.c_str(), AT_SYMLINK_FOLLOW) != 0 &&
            ::linkat(file_.get(), "", directory_.get(), temporary_.c_str(), AT_EMPTY_PATH) != 0) {
            throw_errno("give a name to", name_);
        }
        linked_ = true;
    }
    if (::renameat(directory_.get(), temporary_.c_str(), directory_.get(), name_.c_str()) != 0) {
        throw_errno("rename into place", name_);
    }
    linked_ = false;
}

void write_file_atomically(const std::string& path, std::string_view text, mode_t mode) {
    const std::size_t slash = path.rfind('/');
    const std::string parent = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (name.empty()) throw Error(ErrorCode::usage, path + ": a file name is needed, not a directory");
    // A device, a pipe or /dev/stdout is written into: a rename would put a file in its place.
    struct stat st {};
    if (::stat(path.c_str(), &st) == 0 && !S_ISREG(st.st_mode)) {
        write_full(open_path(path, O_WRONLY | O_NOCTTY).get(), text);
        return;
    }
    const UniqueFd directory = open_path(parent, O_RDONLY | O_DIRECTORY);
    AtomicFile file(directory.get(), name, mode);
    file.write(text);
    file.commit();
}

std::string read_file(const std::string& path, std::uint64_t limit) {
    const UniqueFd file = open_path(path, O_RDONLY | O_NOCTTY);
    try {
        return read_all(file.get(), limit, path);
    } catch (Error& e) {
        throw std::move(e.add_context("read " + path));
    }
}

}  // namespace mkimg

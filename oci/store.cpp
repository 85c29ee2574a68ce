#include "oci/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>

#include "base/error.h"
#include "oci/store_state.h"

namespace mkimg::oci {

int flock_retry(int fd, int operation) {
    int result = 0;
    do {
        result = ::flock(fd, operation);
    } while (result != 0 && errno == EINTR);
    return result;
}

bool still_named(int dirfd, const std::string& name, int fd) {
    struct stat named {};
    if (::fstatat(dirfd, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0) return false;
    const struct stat ours = stat_fd(fd);
    return named.st_ino == ours.st_ino && named.st_dev == ours.st_dev;
}

namespace {

std::string random_name() {
    std::byte bytes[8];
    if (::getrandom(bytes, sizeof bytes, 0) != static_cast<ssize_t>(sizeof bytes)) throw_errno("get random bytes");
    return to_hex(bytes);
}

// remove_orphans() may have seen the entry before we locked it: then it is gone, or about to be.
bool lock_as_owner(int tmp, const TemporaryEntry& entry) {
    return flock_retry(entry.fd.get(), LOCK_EX | LOCK_NB) == 0 && still_named(tmp, entry.name, entry.fd.get());
}

std::string absolute(const std::string& path) {
    if (path.starts_with('/')) return path;
    char here[4096];
    if (::getcwd(here, sizeof here) == nullptr) throw_errno("ask for the working directory");
    return std::string(here) + "/" + path;
}

void make_parents(const std::string& path) {
    for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
        if (::mkdir(path.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES) {
            throw_errno("make directory", path.substr(0, slash));
        }
    }
}

UniqueFd open_or_make_root(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) return UniqueFd(fd);
    if (errno != ENOENT) throw_errno("open the store", path);
    make_parents(path);
    make_directory(AT_FDCWD, path, 0700);
    return open_path(path, O_RDONLY | O_DIRECTORY);
}

UniqueFd open_or_make(int root, const std::string& name) {
    const int fd = ::openat(root, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) return UniqueFd(fd);
    if (errno != ENOENT) throw_errno("open", name + " in the store");
    make_directory(root, name, 0700);
    return open_at(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

}  // namespace

std::int64_t now_seconds() {
    return static_cast<std::int64_t>(std::time(nullptr));
}

TemporaryEntry make_temporary_file(int tmp) {
    for (;;) {
        TemporaryEntry entry{random_name(), {}};
        entry.fd = open_at(tmp, entry.name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (lock_as_owner(tmp, entry)) return entry;
    }
}

TemporaryEntry make_temporary_directory(int tmp) {
    for (;;) {
        TemporaryEntry entry{random_name(), {}};
        if (::mkdirat(tmp, entry.name.c_str(), 0700) != 0) throw_errno("make a work directory in the store");
        const int fd = ::openat(tmp, entry.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) continue;
        if (fd < 0) throw_errno("open a work directory in the store");
        entry.fd.reset(fd);
        if (lock_as_owner(tmp, entry)) return entry;
    }
}

void remove_orphans(int tmp) {
    for (const DirEntry& found : list_directory(tmp)) {
        const int fd = ::openat(tmp, found.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) continue;  // just gone, or renamed into place
        const UniqueFd entry(fd);
        // A lock means that its owner lives. A name that now stands for something else: leave it.
        if (flock_retry(fd, LOCK_EX | LOCK_NB) != 0 || !still_named(tmp, found.name, fd)) continue;
        try {
            remove_tree(tmp, found.name);
        } catch (const Error&) {  // rubbish that can't be removed now must not stop a build
        }
    }
}

WorkDir::WorkDir(UniqueFd tmp, std::string name, UniqueFd directory)
    : tmp_(std::move(tmp)), name_(std::move(name)), directory_(std::move(directory)) {}

WorkDir::WorkDir(WorkDir&& other) noexcept = default;

WorkDir& WorkDir::operator=(WorkDir&& other) noexcept {
    if (this != &other) {
        remove();
        tmp_ = std::move(other.tmp_);
        name_ = std::move(other.name_);
        directory_ = std::move(other.directory_);
    }
    return *this;
}

WorkDir::~WorkDir() {
    remove();
}

void WorkDir::remove() noexcept {
    if (!tmp_) return;
    try {
        remove_tree(tmp_.get(), name_);
    } catch (const std::exception&) {  // the next start removes it
    }
    tmp_.reset();
}

bool WorkDir::move_to(int dirfd, const std::string& name) {
    if (::renameat(tmp_.get(), name_.c_str(), dirfd, name.c_str()) != 0) {
        if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR) return false;
        throw_errno("rename into the store", name);
    }
    tmp_.reset();
    return true;
}

Store::State::State(const std::string& where) : path(absolute(where)) {
    root = open_or_make_root(path);
    make_directory(root.get(), "blobs", 0700);
    blobs = open_or_make(root.get(), "blobs/sha256");
    layers = open_or_make(root.get(), "layers");
    logs = open_or_make(root.get(), "logs");
    tmp = open_or_make(root.get(), "tmp");
    empty = open_or_make(root.get(), "empty");
    db = std::make_unique<Database>(path + "/mkimg.db");
    open_schema(*db, path);
    drop_lost_records(*db);
    remove_orphans(tmp.get());
}

Store::Store(const std::string& root) {
    try {
        state_ = std::make_unique<State>(root);
    } catch (Error& e) {
        e.add_context("open the store " + root);
        if (e.code() != ErrorCode::denied) throw;
        throw Error(ErrorCode::host, e.what(), "choose a folder that you can write: --root DIR or $MKIMG_ROOT");
    }
}

Store::~Store() = default;

std::string Store::default_root() {
    const auto variable = [](const char* name) {
        const char* value = std::getenv(name);
        return std::string(value == nullptr ? "" : value);
    };
    if (std::string root = variable("MKIMG_ROOT"); !root.empty()) return root;
    if (::geteuid() == 0) return "/var/lib/mkimg";
    // The XDG specification: a relative path is to be ignored.
    if (const std::string data = variable("XDG_DATA_HOME"); data.starts_with('/')) return data + "/mkimg";
    if (const std::string home = variable("HOME"); !home.empty()) return home + "/.local/share/mkimg";
    throw Error(ErrorCode::usage, "no place for the store: $HOME is not set",
                "give one with --root DIR or $MKIMG_ROOT");
}

const std::string& Store::path() const noexcept {
    return state_->path;
}
int Store::fd() const noexcept {
    return state_->root.get();
}
int Store::layers_fd() const noexcept {
    return state_->layers.get();
}
int Store::logs_fd() const noexcept {
    return state_->logs.get();
}
int Store::blobs_fd() const noexcept {
    return state_->blobs.get();
}
int Store::tmp_fd() const noexcept {
    return state_->tmp.get();
}
int Store::empty_fd() const noexcept {
    return state_->empty.get();
}
Database& Store::db() noexcept {
    return *state_->db;
}

WorkDir Store::make_work_dir() {
    TemporaryEntry entry = make_temporary_directory(state_->tmp.get());
    return {state_->tmp.dup(), std::move(entry.name), std::move(entry.fd)};
}

void Store::lock(Use use) {
    if (!state_->lock_file) state_->lock_file = open_at(fd(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (flock_retry(state_->lock_file.get(), use == Use::shared ? LOCK_SH : LOCK_EX) != 0) {
        throw_errno("lock the store", path());
    }
}

}  // namespace mkimg::oci

#include "builder/export_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/error.h"

namespace mkimg::builder {

namespace {

// Where a symlink that the user named points to, so that the link stays a link.
std::string resolve(const std::string& path) {
    const std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), &::free);
    return real ? std::string(real.get()) : path;
}

std::pair<std::string, std::string> parent_and_name(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return {".", path};
    return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

OutputFile::OutputFile(const std::string& destination) {
    if (destination == "-") {
        if (::isatty(STDOUT_FILENO) == 1) {
            throw Error(ErrorCode::usage, "an archive is not written to a terminal",
                        "name a file, or send stdout to a file or pipe");
        }
        direct_.reset(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
        if (!direct_) throw_errno("write to stdout");
        return;
    }
    struct stat info {};
    std::string path = destination;
    if (::stat(path.c_str(), &info) == 0) {
        if (S_ISDIR(info.st_mode)) {
            throw Error(ErrorCode::conflict, destination + " is a directory", "name a file in it");
        }
        if (!S_ISREG(info.st_mode)) {
            direct_ = open_path(path, O_WRONLY | O_NOCTTY);
            return;
        }
        path = resolve(path);
    }
    const auto [parent, name] = parent_and_name(path);
    if (name.empty()) throw Error(ErrorCode::usage, destination + ": a file name is needed, not a directory");
    const UniqueFd directory = open_path(parent, O_RDONLY | O_DIRECTORY);
    file_.emplace(directory.get(), name, std::nullopt);
}

void OutputFile::commit() {
    if (file_) file_->commit();
}

UniqueFd open_output_directory(const std::string& path) {
    for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        if (::mkdir(path.substr(0, slash).c_str(), 0777) != 0 && errno != EEXIST)
            throw_errno("make the directory", path);
        if (slash == std::string::npos) break;
    }
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode)) {
        throw Error(ErrorCode::conflict, path + " exists and is no directory");
    }
    return open_path(path, O_RDONLY | O_DIRECTORY);
}

void copy_file(int from, int to, std::uint64_t size) {
    constexpr std::uint64_t piece = 1U << 30U;
    off_t offset = 0;
    const auto left = [&] { return size - static_cast<std::uint64_t>(offset); };
    bool ranges = true;  // copy_file_range, then sendfile, then by hand
    bool in_kernel = true;
    std::unique_ptr<std::byte[]> buffer;
    constexpr std::size_t buffer_size = 256 * 1024;
    while (left() > 0) {
        ssize_t done = -1;
        if (ranges) {
            done = ::copy_file_range(from, &offset, to, nullptr, std::min(left(), piece), 0);
            const bool refused = done < 0 && errno != EINTR && errno != ENOSPC && errno != EDQUOT && errno != EIO;
            if (refused || done == 0) {
                ranges = false;
                continue;
            }
        } else if (in_kernel) {
            done = ::sendfile(to, from, &offset, std::min(left(), piece));
            if (done < 0 && (errno == EINVAL || errno == ENOSYS)) {
                in_kernel = false;
                continue;
            }
        } else {
            if (!buffer) buffer = std::make_unique<std::byte[]>(buffer_size);
            done = ::pread(from, buffer.get(), std::min<std::uint64_t>(left(), buffer_size), offset);
            if (done > 0) {
                write_full(to, std::span(buffer.get(), static_cast<std::size_t>(done)));
                offset += done;
            }
        }
        if (done < 0 && errno != EINTR) throw_errno("write");
        if (done == 0) throw Error(ErrorCode::corrupt, "a blob of the store ends early", "mkimg fsck shows the damage");
    }
}

}  // namespace mkimg::builder

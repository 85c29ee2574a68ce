#include "layers/usage.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace mkimg::layers {
namespace {

class Usage {
  public:
    explicit Usage(dev_t device) : device_(device) {}

    std::uint64_t of(int dirfd, const std::string& name) {
        struct stat st {};
        if (::fstatat(dirfd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_dev != device_) return 0;
        if (!S_ISDIR(st.st_mode) && st.st_nlink > 1 && !seen_.insert(st.st_ino).second) return 0;
        std::uint64_t bytes = static_cast<std::uint64_t>(st.st_blocks) * 512;
        if (!S_ISDIR(st.st_mode)) return bytes;
        const int fd = ::openat(dirfd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) return bytes;  // gone meanwhile, or too deep to be worth an error in a sum
        const UniqueFd directory(fd);
        for (const DirEntry& entry : list_directory(fd)) bytes += of(fd, entry.name);
        return bytes;
    }

  private:
    const dev_t device_;
    std::unordered_set<ino_t> seen_;
};

}  // namespace

std::uint64_t disk_usage(int dirfd, const std::string& name) {
    struct stat st {};
    if (::fstatat(dirfd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return 0;
    return Usage(st.st_dev).of(dirfd, name);
}

}  // namespace mkimg::layers

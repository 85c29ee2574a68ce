// Mount points that the image lacks. They are made through the overlay, so they land in the upper
// directory, which is to become a layer; this remembers them and takes them out again.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"

namespace mkimg::sandbox {

class MountPoints {
  public:
    // Both are borrowed: the overlay's root until seal(), its upper directory until clear(). An upper
    // of -1 means a read-only root, where nothing can be made.
    MountPoints(int root, int upper) : root_(root), upper_(upper) {}

    // Makes an empty directory or file where `target`, resolved inside the root, leads nowhere.
    void ensure(const std::string& target, bool directory);
    // Notes the state that clear() compares with. Call after the last ensure(), before the command.
    void seal();
    // Takes out of upper what ensure() made and what the kernel copied up for it, where the command
    // left it as it was. Follows no symlink: by now everything in upper may be hostile. Call when
    // the container is gone and its overlay with it.
    void clear() const;

    bool empty() const noexcept { return made_.empty(); }
    void set_upper(int upper) noexcept { upper_ = upper; }

  private:
    struct State {
        ino_t inode = 0;
        mode_t mode = 0;
        uid_t uid = 0;
        gid_t gid = 0;
        timespec mtime{};
        std::vector<std::string> xattrs;
        bool operator==(const State& other) const;
    };
    struct Made {
        std::string path;
        State state;
    };
    // A directory of the image in which something was made, or into which such a one was copied up.
    struct Touched {
        std::string path;
        bool in_upper = false;  // before
        timespec mtime{};       // before
        State state;
    };

    static State look(int fd, const struct stat& st);
    void touch(const std::string& path);

    int root_;
    int upper_;
    std::vector<Made> made_;        // parents first
    std::vector<Touched> touched_;  // parents first
};

}  // namespace mkimg::sandbox

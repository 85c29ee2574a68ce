// A directory for one test, gone afterwards.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "base/fd.h"

namespace mkimg {

class TempDir {
  public:
    TempDir() {
        const char* base = ::getenv("TMPDIR");
        path_ = std::string(base == nullptr ? "/tmp" : base) + "/mkimg-test-XXXXXX";
        if (::mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "mkdtemp " << path_;
        fd_ = open_path(path_, O_RDONLY | O_DIRECTORY);
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    ~TempDir() {
        fd_.reset();
        remove_tree(AT_FDCWD, path_);
    }

    int fd() const { return fd_.get(); }
    const std::string& path() const { return path_; }
    std::string path(const std::string& name) const { return path_ + "/" + name; }

    void write(const std::string& name, std::string_view text, mode_t mode = 0644) const {
        const UniqueFd file = open_at(fd(), name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
        write_full(file.get(), text);
    }
    std::string read(const std::string& name) const {
        return read_all(open_at(fd(), name, O_RDONLY).get(), 1U << 30U, name);
    }

  private:
    std::string path_;
    UniqueFd fd_;
};

}  // namespace mkimg

// The names in a directory, for walks over many: one buffer for all of them, no string each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mkimg::builder {

class DirectoryNames {
  public:
    struct Entry {
        std::uint32_t offset;
        unsigned char type;  // DT_*
    };

    // Reads the open directory from where it stands.
    explicit DirectoryNames(int fd);

    // Without "." and "..", sorted bytewise.
    const std::vector<Entry>& entries() const noexcept { return entries_; }
    const char* name(const Entry& entry) const { return names_.data() + entry.offset; }

  private:
    std::string names_;  // each with a NUL behind it
    std::vector<Entry> entries_;
};

}  // namespace mkimg::builder

// Writing the files of an image archive: into a tar, or into a directory.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/stream.h"

namespace mkimg::builder {

// Names are relative, of lower-case words and digests, and shorter than 100 bytes.
class LayoutWriter {
  public:
    virtual ~LayoutWriter() = default;
    virtual void add_text(const std::string& name, std::string_view text) = 0;
    // `size` bytes from the start of `file`.
    virtual void add_file(const std::string& name, int file, std::uint64_t size) = 0;
    // `write` gives exactly `size` bytes.
    virtual void add_stream(const std::string& name, std::uint64_t size, const std::function<void(Sink&)>& write) = 0;
    virtual void finish() = 0;
};

// The same files in the same order give the same bytes: no owner, no time, mode 0644. Directories are
// added before what they hold.
class TarLayoutWriter final : public LayoutWriter {
  public:
    explicit TarLayoutWriter(int file) : file_(file) {}  // borrowed
    void add_text(const std::string& name, std::string_view text) override;
    void add_file(const std::string& name, int file, std::uint64_t size) override;
    void add_stream(const std::string& name, std::uint64_t size, const std::function<void(Sink&)>& write) override;
    void finish() override;

  private:
    void begin(const std::string& name, std::uint64_t size);
    void pad(std::uint64_t size);

    int file_;
    std::set<std::string> directories_;
};

// Each file appears whole. What is there already under a digest's name and has that size is left.
class DirectoryLayoutWriter final : public LayoutWriter {
  public:
    explicit DirectoryLayoutWriter(int directory) : directory_(directory) {}  // borrowed
    void add_text(const std::string& name, std::string_view text) override;
    void add_file(const std::string& name, int file, std::uint64_t size) override;
    void add_stream(const std::string& name, std::uint64_t size, const std::function<void(Sink&)>& write) override;
    void finish() override {}

  private:
    void add(const std::string& name, std::uint64_t size, const std::function<void(int)>& fill);

    int directory_;
};

}  // namespace mkimg::builder

#include "builder/export_layout.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/atomic_file.h"
#include "base/error.h"
#include "builder/export_file.h"

namespace mkimg::builder {

namespace {

constexpr std::size_t block_size = 512;
using Block = std::array<char, block_size>;

void put_octal(Block& block, std::size_t offset, std::size_t digits, std::uint64_t value) {
    for (std::size_t i = digits; i-- > 0; value >>= 3U) block[offset + i] = static_cast<char>('0' + (value & 7U));
}

// A ustar header (POSIX.1-2017, pax). A size over 8 GiB is written in base 256, which every reader of
// image archives knows.
Block tar_header(std::string_view name, std::uint64_t size, bool directory) {
    if (name.size() >= 100) throw Error(ErrorCode::internal, "archive member name too long: " + std::string(name));
    Block block{};
    std::memcpy(block.data(), name.data(), name.size());
    put_octal(block, 100, 7, directory ? 0755 : 0644);
    put_octal(block, 108, 7, 0);
    put_octal(block, 116, 7, 0);
    if (size < 1ULL << 33U) {
        put_octal(block, 124, 11, size);
    } else {
        block[124] = static_cast<char>(0x80);
        for (std::size_t i = 0; i < 8; ++i) block[135 - i] = static_cast<char>(size >> (8 * i) & 0xFFU);
    }
    put_octal(block, 136, 11, 0);
    block[156] = directory ? '5' : '0';
    std::memcpy(block.data() + 257,
                "ustar\0"
                "00",
                8);
    put_octal(block, 329, 7, 0);
    put_octal(block, 337, 7, 0);
    std::memset(block.data() + 148, ' ', 8);
    std::uint64_t sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    put_octal(block, 148, 6, sum);
    block[154] = '\0';
    return block;
}

class CountingSink final : public Sink {
  public:
    CountingSink(int file, std::uint64_t size) : file_(file), left_(size) {}
    void write(std::span<const std::byte> bytes) override {
        if (bytes.size() > left_) throw Error(ErrorCode::internal, "a layer is longer than recorded");
        write_full(file_, bytes);
        left_ -= bytes.size();
    }
    void check() const {
        if (left_ != 0) throw Error(ErrorCode::internal, "a layer is shorter than recorded");
    }

  private:
    int file_;
    std::uint64_t left_;
};

void write_stream(int file, std::uint64_t size, const std::function<void(Sink&)>& write) {
    CountingSink sink(file, size);
    write(sink);
    sink.check();
}

}  // namespace

void TarLayoutWriter::begin(const std::string& name, std::uint64_t size) {
    for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
        const std::string directory = name.substr(0, slash + 1);
        if (!directories_.insert(directory).second) continue;
        const Block header = tar_header(directory, 0, true);
        write_full(file_, std::string_view(header.data(), header.size()));
    }
    const Block header = tar_header(name, size, false);
    write_full(file_, std::string_view(header.data(), header.size()));
}

void TarLayoutWriter::pad(std::uint64_t size) {
    const std::size_t over = size % block_size;
    if (over != 0) write_full(file_, std::string_view(Block{}.data(), block_size - over));
}

void TarLayoutWriter::add_text(const std::string& name, std::string_view text) {
    begin(name, text.size());
    write_full(file_, text);
    pad(text.size());
}

void TarLayoutWriter::add_file(const std::string& name, int file, std::uint64_t size) {
    begin(name, size);
    copy_file(file, file_, size);
    pad(size);
}

void TarLayoutWriter::add_stream(const std::string& name, std::uint64_t size, const std::function<void(Sink&)>& write) {
    begin(name, size);
    write_stream(file_, size, write);
    pad(size);
}

void TarLayoutWriter::finish() {
    const Block zero{};
    write_full(file_, std::string_view(zero.data(), zero.size()));
    write_full(file_, std::string_view(zero.data(), zero.size()));
}

void DirectoryLayoutWriter::add(const std::string& name, std::uint64_t size, const std::function<void(int)>& fill) {
    UniqueFd parent = open_at(directory_, ".", O_RDONLY | O_DIRECTORY);
    std::size_t begin = 0;
    for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', begin)) {
        const std::string component = name.substr(begin, slash - begin);
        if (::mkdirat(parent.get(), component.c_str(), 0777) != 0 && errno != EEXIST) {
            throw_errno("make the directory", name.substr(0, slash));
        }
        parent = open_at(parent.get(), component, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        begin = slash + 1;
    }
    const std::string last = name.substr(begin);
    struct stat info {};
    if (name.starts_with("blobs/") && ::fstatat(parent.get(), last.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(info.st_mode) && static_cast<std::uint64_t>(info.st_size) == size) {
        return;
    }
    AtomicFile file(parent.get(), last, std::nullopt);
    fill(file.fd());
    file.commit();
}

void DirectoryLayoutWriter::add_text(const std::string& name, std::string_view text) {
    add(name, text.size(), [&](int fd) { write_full(fd, text); });
}

void DirectoryLayoutWriter::add_file(const std::string& name, int file, std::uint64_t size) {
    add(name, size, [&](int fd) { copy_file(file, fd, size); });
}

void DirectoryLayoutWriter::add_stream(const std::string& name, std::uint64_t size,
                                       const std::function<void(Sink&)>& write) {
    add(name, size, [&](int fd) { write_stream(fd, size, write); });
}

}  // namespace mkimg::builder

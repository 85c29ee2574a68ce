// The two interfaces through which bytes flow: whoever makes bytes is a Source, whoever takes them
// a Sink. Both throw Error. A Sink's bytes count only after finish().
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/sha256.h"

namespace mkimg {

class Source {
  public:
    virtual ~Source() = default;
    // Up to buffer.size() bytes, 0 only at the end.
    virtual std::size_t read(std::span<std::byte> buffer) = 0;
};

class Sink {
  public:
    virtual ~Sink() = default;
    virtual void write(std::span<const std::byte> bytes) = 0;
    // Called once, after the last write; flushes what is held back.
    virtual void finish() {}
};

class FdSource final : public Source {  // borrows the descriptor
  public:
    explicit FdSource(int fd) : fd_(fd) {}
    std::size_t read(std::span<std::byte> buffer) override;

  private:
    int fd_;
};

class FdSink final : public Sink {  // borrows the descriptor
  public:
    explicit FdSink(int fd) : fd_(fd) {}
    void write(std::span<const std::byte> bytes) override;

  private:
    int fd_;
};

class MemorySource final : public Source {  // borrows the bytes
  public:
    explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}
    explicit MemorySource(std::string_view text) : bytes_(as_bytes(text)) {}
    std::size_t read(std::span<std::byte> buffer) override;

  private:
    std::span<const std::byte> bytes_;
};

class StringSink final : public Sink {
  public:
    void write(std::span<const std::byte> bytes) override { text_ += as_text(bytes); }
    const std::string& text() const noexcept { return text_; }
    std::string take() noexcept { return std::move(text_); }

  private:
    std::string text_;
};

class NullSink final : public Sink {
  public:
    void write(std::span<const std::byte>) override {}
};

// Counts and hashes what passes on to `next` (borrowed; may be null). finish() finishes next.
class HashingSink final : public Sink {
  public:
    explicit HashingSink(Sink* next = nullptr) : next_(next) {}
    void write(std::span<const std::byte> bytes) override;
    void finish() override;
    std::uint64_t size() const noexcept { return size_; }
    // Valid after finish().
    const Sha256Bytes& digest() const noexcept { return digest_; }

  private:
    Sink* next_;
    Sha256 hash_;
    std::uint64_t size_ = 0;
    Sha256Bytes digest_{};
};

// Counts and hashes what is read from `inner` (borrowed).
class HashingSource final : public Source {
  public:
    explicit HashingSource(Source& inner) : inner_(inner) {}
    std::size_t read(std::span<std::byte> buffer) override;
    std::uint64_t size() const noexcept { return size_; }
    Sha256Bytes digest() { return hash_.finish(); }

  private:
    Source& inner_;
    Sha256 hash_;
    std::uint64_t size_ = 0;
};

// At most `limit` bytes of `inner`; one byte more throws Error(corrupt) naming `what`.
class LimitedSource final : public Source {
  public:
    LimitedSource(Source& inner, std::uint64_t limit, std::string what)
        : inner_(inner), left_(limit), what_(std::move(what)) {}
    std::size_t read(std::span<std::byte> buffer) override;

  private:
    Source& inner_;
    std::uint64_t left_;
    std::string what_;
};

// Reads until the buffer is full or the end.
std::size_t read_full(Source& source, std::span<std::byte> buffer);
// Copies to the end; returns the number of bytes. Does not finish the sink.
std::uint64_t copy(Source& source, Sink& sink);

}  // namespace mkimg

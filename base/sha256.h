// SHA-256 as a stream.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace mkimg {

using Sha256Bytes = std::array<std::byte, 32>;

class Sha256 {
  public:
    Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;
    ~Sha256();

    void update(std::span<const std::byte> bytes);
    void update(std::string_view text);
    // The digest of all so far. The object starts afresh afterwards.
    Sha256Bytes finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

Sha256Bytes sha256(std::span<const std::byte> bytes);
Sha256Bytes sha256(std::string_view text);

std::string to_hex(std::span<const std::byte> bytes);

}  // namespace mkimg

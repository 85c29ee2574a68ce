#include "base/sha256.h"

// OpenSSL would rather see EVP_Digest*(), which builds up all of its algorithms and reads openssl.cnf first: 0.4 ms for
// each process, where a build with nothing to do takes a few. The instructions that do the work are the same.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "base/fd.h"

namespace mkimg {

// These functions of OpenSSL cannot fail.
struct Sha256::State {
    SHA256_CTX context;
    State() { SHA256_Init(&context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
    SHA256_Update(&state_->context, bytes.data(), bytes.size());
}

void Sha256::update(std::string_view text) {
    update(as_bytes(text));
}

Sha256Bytes Sha256::finish() {
    Sha256Bytes digest;
    SHA256_Final(reinterpret_cast<unsigned char*>(digest.data()), &state_->context);
    *state_ = State();
    return digest;
}

Sha256Bytes sha256(std::span<const std::byte> bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hash.finish();
}

Sha256Bytes sha256(std::string_view text) {
    return sha256(as_bytes(text));
}

std::string to_hex(std::span<const std::byte> bytes) {
    constexpr char digits[] = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const std::byte b : bytes) {
        out += digits[std::to_integer<unsigned>(b) >> 4U];
        out += digits[std::to_integer<unsigned>(b) & 15U];
    }
    return out;
}

}  // namespace mkimg

#include "base/sha256.h"

#include <openssl/evp.h>

#include "base/error.h"
#include "base/fd.h"

namespace mkimg {

struct Sha256::State {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { EVP_MD_CTX_free(context); }

    void start() const {
        // Fetched once: looking an algorithm up by name costs microseconds each time.
        static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
        if (context == nullptr || algorithm == nullptr || EVP_DigestInit_ex(context, algorithm, nullptr) != 1) {
            throw Error(ErrorCode::internal, "OpenSSL has no SHA-256");
        }
    }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
    state_->start();
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
    if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) {
        throw Error(ErrorCode::internal, "OpenSSL failed to hash");
    }
}

void Sha256::update(std::string_view text) {
    update(as_bytes(text));
}

Sha256Bytes Sha256::finish() {
    Sha256Bytes digest;
    if (EVP_DigestFinal_ex(state_->context, reinterpret_cast<unsigned char*>(digest.data()), nullptr) != 1) {
        throw Error(ErrorCode::internal, "OpenSSL failed to finish a hash");
    }
    state_->start();
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

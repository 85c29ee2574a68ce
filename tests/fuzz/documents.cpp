// Arbitrary bytes as each JSON document that a registry or an archive sends: read, or refused as damaged or
// unsupported. What is read and written again reads the same.
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "base/error.h"
#include "oci/image_config.h"
#include "oci/platform_choice.h"
#include "registry/token.h"

namespace {

using namespace mkimg;

void refusable(const std::function<void()>& read) {
    try {
        read();
    } catch (const Error& error) {
        const bool refusal = error.code() == ErrorCode::corrupt || error.code() == ErrorCode::unsupported ||
                             error.code() == ErrorCode::not_found || error.code() == ErrorCode::unavailable ||
                             error.code() == ErrorCode::denied;
        if (!refusal) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    refusable([&] { oci::is_index(text); });
    refusable([&] {
        const auto manifest = oci::Manifest::parse(text);
        const std::string written = manifest.to_json();
        if (oci::Manifest::parse(written).to_json() != written) std::abort();
    });
    refusable([&] {
        const auto index = oci::Index::parse(text);
        oci::choose_platform(index.manifests, oci::Platform::parse("linux/arm64/v8"), "index");
    });
    refusable([&] {
        const auto config = oci::ImageConfig::parse(text);
        const std::string written = config.to_json();
        if (oci::ImageConfig::parse(written).to_json() != written) std::abort();
    });
    refusable([&] { registry::parse_token(text, 1'700'000'000); });
    registry::server_message(text);
    return 0;
}

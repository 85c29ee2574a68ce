// Any bytes are a reference or an error. What comes out has the forms that it may have, and reads the same when it
// is written down again, whole or as people write it.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "oci/reference.h"
#include "registry/keychain.h"

namespace {

using mkimg::oci::Reference;

bool only(std::string_view text, std::string_view more) {
    return std::all_of(text.begin(), text.end(), [more](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || more.find(c) != std::string_view::npos;
    });
}

void check(const Reference& reference) {
    constexpr std::string_view upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const std::string path = "/" + reference.repository + "/";
    if (reference.registry.empty() || reference.repository.empty()) std::abort();
    if (!only(reference.registry, std::string(upper) + ".-:[]")) std::abort();
    if (!only(path, "._-/") || path.find("/.") != path.npos || path.find("//") != path.npos) std::abort();
    if (!only(reference.tag, std::string(upper) + "_.-") || reference.tag.size() > 128) std::abort();
    if (reference.tag.empty() && !reference.digest) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const Reference reference = Reference::parse(text);
        check(reference);
        if (Reference::parse(reference.str()) != reference) std::abort();
        if (Reference::parse(reference.familiar()) != reference) std::abort();
    } catch (const mkimg::Error& error) {
        if (error.code() != mkimg::ErrorCode::usage) std::abort();
    }
    try {
        const std::string host = mkimg::registry::Keychain::host_of(text);
        if (Reference::parse(host + "/name").registry != host) std::abort();
    } catch (const mkimg::Error& error) {
        if (error.code() != mkimg::ErrorCode::usage) std::abort();
    }
    return 0;
}

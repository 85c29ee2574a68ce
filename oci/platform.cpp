#include "oci/platform.h"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace mkimg::oci {
namespace {

// Go's GOOS and GOARCH values, which the image specification refers to.
constexpr std::array<std::string_view, 15> known_os = {"aix",     "android", "darwin",  "dragonfly", "freebsd",
                                                       "illumos", "ios",     "js",      "linux",     "netbsd",
                                                       "openbsd", "plan9",   "solaris", "wasip1",    "windows"};
constexpr std::array<std::string_view, 17> known_architectures = {
    "386",   "amd64",   "arm",     "arm64", "loong64", "mips",    "mips64", "mips64le", "mipsle",
    "ppc64", "ppc64le", "riscv64", "s390",  "s390x",   "sparc64", "wasm",   "ppc"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view word) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

std::string normal_os(std::string_view text) {
    std::string os = to_lower(text);
    return os == "macos" ? "darwin" : os;
}

// As containerd's platforms.Normalize, so that "linux/arm64/v8" and "linux/arm64" are one platform.
void normalize(Platform& p) {
    std::string& arch = p.architecture;
    std::string& variant = p.variant;
    arch = to_lower(arch);
    variant = to_lower(variant);
    if (arch == "i386" || arch == "i686" || arch == "x86") {
        arch = "386";
        variant.clear();
    } else if (arch == "x86_64" || arch == "x86-64" || arch == "amd64") {
        arch = "amd64";
        if (variant == "v1") variant.clear();
    } else if (arch == "aarch64" || arch == "arm64") {
        arch = "arm64";
        if (variant == "8" || variant == "v8" || variant == "v8.0") variant.clear();
        if (variant == "9" || variant == "9.0" || variant == "v9.0") variant = "v9";
    } else if (arch == "armhf") {
        arch = "arm";
        variant = "v7";
    } else if (arch == "armel") {
        arch = "arm";
        variant = "v6";
    } else if (arch == "arm") {
        if (variant.empty() || variant == "7") variant = "v7";
        if (variant == "5" || variant == "6" || variant == "8") variant.insert(0, "v");
    }
}

template <std::size_t N>
void add_names(std::vector<std::string>& out, const std::array<std::string_view, N>& list) {
    for (const std::string_view name : list) out.emplace_back(name);
}

[[noreturn]] void unknown(std::string_view text, std::string_view kind, std::string_view word,
                          const std::vector<std::string>& candidates) {
    const auto close = nearest(word, candidates);
    throw Error(
        ErrorCode::usage,
        "platform \"" + std::string(text) + "\": unknown " + std::string(kind) + " \"" + std::string(word) + "\"",
        close ? "did you mean " + *close + "?" : "write it as os/arch[/variant], for example linux/amd64");
}

}  // namespace

std::string Platform::str() const {
    std::string out = os + "/" + architecture;
    if (!variant.empty()) out += "/" + variant;
    return out;
}

Platform Platform::parse(std::string_view text) {
    const auto parts = split(text, '/');
    const auto fits = [](const std::string& part) {
        return !part.empty() && std::all_of(part.begin(), part.end(), [](unsigned char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
                   c == '-';
        });
    };
    if (parts.size() > 3 || !std::all_of(parts.begin(), parts.end(), fits)) {
        throw Error(ErrorCode::usage, "\"" + std::string(text) + "\" is no platform",
                    "write it as os/arch[/variant], for example linux/amd64 or linux/arm/v7");
    }
    Platform p;
    if (parts.size() == 1) {
        const std::string os = normal_os(parts[0]);
        if (contains(known_os, os)) {
            p = host();
            p.os = os;
            return p;
        }
        p.architecture = parts[0];
    } else {
        p.os = normal_os(parts[0]);
        p.architecture = parts[1];
        if (parts.size() == 3) p.variant = parts[2];
    }
    normalize(p);
    std::vector<std::string> candidates;
    if (!contains(known_os, p.os)) {
        add_names(candidates, known_os);
        unknown(text, "operating system", p.os, candidates);
    }
    if (!contains(known_architectures, p.architecture)) {
        add_names(candidates, known_architectures);
        if (parts.size() == 1) add_names(candidates, known_os);
        unknown(text, parts.size() == 1 ? "operating system or architecture" : "architecture", p.architecture,
                candidates);
    }
    return p;
}

Platform Platform::host() {
    utsname name{};
    if (::uname(&name) != 0) throw_errno("ask for the machine's name (uname)");
    const std::string_view machine = name.machine;
    Platform p;
    p.architecture = machine;
    if (machine == "armv7l" || machine == "armv8l") {
        p.architecture = "armhf";
    } else if (machine == "armv6l") {
        p.architecture = "armel";
    } else if (machine == "i586" || machine == "i486") {
        p.architecture = "i386";
    } else if (machine == "loongarch64") {
        p.architecture = "loong64";
    }
    normalize(p);
    return p;
}

}  // namespace mkimg::oci

// Operating system and CPU of an image, in Go's words (image-spec, config.md: architecture, os).
#pragma once

#include <string>
#include <string_view>

namespace mkimg::oci {

struct Platform {
    std::string os = "linux";
    std::string architecture;
    std::string variant;  // "v7" for arm; may be empty

    // "linux/amd64", "linux/arm/v7".
    std::string str() const;
    // "os/arch[/variant]", "arch" or "os" alone; aliases (x86_64, aarch64, armhf) are normalised.
    // Throws Error(usage).
    static Platform parse(std::string_view text);
    static Platform host();

    friend bool operator==(const Platform&, const Platform&) = default;
};

}  // namespace mkimg::oci

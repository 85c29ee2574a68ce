// Names of images, normalised as Docker does (distribution's reference grammar).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "oci/digest.h"

namespace mkimg::oci {

struct Reference {
    std::string registry;    // "docker.io", "localhost:5000"
    std::string repository;  // "library/debian"
    std::string tag;         // empty where only a digest was given
    std::optional<Digest> digest;

    // "debian" -> docker.io/library/debian:latest. Throws Error(usage) that says what is wrong.
    static Reference parse(std::string_view text);

    // Whole: "docker.io/library/debian:latest[@sha256:…]".
    std::string str() const;
    // As people write it: "debian:latest".
    std::string familiar() const;

    friend bool operator==(const Reference&, const Reference&) = default;
};

}  // namespace mkimg::oci

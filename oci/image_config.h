// The image config (image-spec, config.md) with Docker's own fields, and the manifest and index
// that name it. Parsed strictly enough to be safe, written as canonical JSON: sorted keys, no
// blanks, so that equal values give equal bytes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/digest.h"
#include "oci/platform.h"

namespace mkimg::oci {

struct Healthcheck {
    std::vector<std::string> test;  // {"NONE"}, {"CMD", …} or {"CMD-SHELL", line}
    // Nanoseconds; 0 means inherited or the default.
    std::int64_t interval = 0;
    std::int64_t timeout = 0;
    std::int64_t start_period = 0;
    std::int64_t start_interval = 0;
    std::int64_t retries = 0;
    friend bool operator==(const Healthcheck&, const Healthcheck&) = default;
};

struct History {
    std::optional<std::int64_t> created;  // unix seconds
    std::string created_by;
    std::string author;
    std::string comment;
    bool empty_layer = false;
};

struct ImageConfig {
    Platform platform;
    std::optional<std::int64_t> created;  // unix seconds
    std::string author;

    // "config"
    std::string user;
    std::vector<std::string> env;  // "NAME=value", in order of first setting
    // Not set (nullopt) and set to [] are different: ENTRYPOINT clears an inherited CMD.
    std::optional<std::vector<std::string>> entrypoint;
    std::optional<std::vector<std::string>> cmd;
    std::map<std::string, std::string> labels;
    std::vector<std::string> exposed_ports;  // "80/tcp", sorted, unique
    std::vector<std::string> volumes;        // sorted, unique
    std::string working_dir;
    std::string stop_signal;
    std::optional<std::vector<std::string>> shell;
    std::optional<Healthcheck> healthcheck;
    std::vector<std::string> on_build;

    std::vector<DiffId> diff_ids;  // rootfs, lowest first
    std::vector<History> history;

    // Throws Error(corrupt) naming the field.
    static ImageConfig parse(std::string_view json);
    std::string to_json() const;

    std::optional<std::string_view> env_value(std::string_view name) const;
    void set_env(std::string_view name, std::string_view value);
};

namespace media_type {
inline constexpr std::string_view oci_manifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view oci_index = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view oci_config = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view oci_layer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view oci_layer_gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view oci_layer_zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view docker_manifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view docker_manifest_list = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view docker_config = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view docker_layer = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr std::string_view docker_layer_gzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
}  // namespace media_type

// image-spec, descriptor.md
struct Descriptor {
    std::string media_type;
    Digest digest;
    std::uint64_t size = 0;
    std::map<std::string, std::string> annotations;
    std::optional<Platform> platform;  // in an index
};

struct Manifest {
    std::string media_type{oci::media_type::oci_manifest};
    Descriptor config;
    std::vector<Descriptor> layers;  // lowest first
    std::map<std::string, std::string> annotations;

    static Manifest parse(std::string_view json);
    std::string to_json() const;
};

struct Index {
    std::string media_type{oci::media_type::oci_index};
    std::vector<Descriptor> manifests;
    std::map<std::string, std::string> annotations;

    static Index parse(std::string_view json);
    std::string to_json() const;
};

// True for OCI indexes and Docker manifest lists; told by the mediaType field, else by the fields
// present. Text that claims to be both is refused with Error(corrupt) (CVE-2021-41190).
bool is_index(std::string_view json);

}  // namespace mkimg::oci

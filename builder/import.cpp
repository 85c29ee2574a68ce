#include "builder/import.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/text.h"
#include "builder/import_image.h"

namespace mkimg::builder {

namespace {

constexpr std::string_view layout_scheme = "oci-layout://";
constexpr std::string_view oci_scheme = "oci-archive:";
constexpr std::string_view docker_scheme = "docker-archive:";

struct ArchiveSpec {
    std::string path;
    ImageChoice choice;
};

bool exists(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0;
}

// PATH[:NAME][@DIGEST]; a path may have a colon in it, so the shortest one that exists is meant.
ArchiveSpec parse_spec(std::string_view text) {
    ArchiveSpec spec{std::string(text), {}};
    if (exists(spec.path)) return spec;
    const std::size_t at = spec.path.rfind("@sha256:");
    if (at != std::string::npos) {
        spec.choice.digest = oci::Digest::parse(spec.path.substr(at + 1));
        if (!spec.choice.digest) throw Error(ErrorCode::usage, spec.path.substr(at + 1) + " is no digest");
        spec.path.resize(at);
        if (exists(spec.path)) return spec;
    }
    for (std::size_t colon = spec.path.find(':'); colon != std::string::npos; colon = spec.path.find(':', colon + 1)) {
        if (!exists(spec.path.substr(0, colon))) continue;
        spec.choice.name = spec.path.substr(colon + 1);
        spec.path.resize(colon);
        return spec;
    }
    const std::string path = spec.path.substr(0, spec.path.find(':'));
    throw Error(ErrorCode::not_found, path + " does not exist", "paths are relative to the current directory");
}

bool covers(layers::LayerStore& layers, const std::vector<oci::DiffId>& diffs) {
    const auto top = oci::chain_id(diffs);
    return !top || layers.find(*top).has_value();
}

void import_layer(layers::LayerStore& layers, const std::optional<oci::ChainId>& parent, const oci::DiffId& diff,
                  const LayerFile& file) {
    RangeSource range(file.range);
    HashingSource hashed(range);
    layers.add(parent, hashed, diff);
    if (hashed.size() == 0) return;  // the store had it
    NullSink rest;
    copy(hashed, rest);
    if (file.digest && oci::Digest(hashed.digest()) != *file.digest) {
        throw Error(ErrorCode::corrupt, "layer " + file.digest->str() + " does not match its digest",
                    "make or download the archive again");
    }
}

}  // namespace

bool is_archive_spec(std::string_view text) {
    return text.starts_with(layout_scheme) || text.starts_with(oci_scheme) || text.starts_with(docker_scheme);
}

oci::Digest import_layers(oci::Store& store, layers::LayerStore& layers, const std::string& config,
                          const std::vector<LayerFile>& files) {
    const auto parsed = oci::ImageConfig::parse(config);
    if (parsed.diff_ids.size() != files.size()) {
        throw Error(ErrorCode::corrupt, "the manifest has " + std::to_string(files.size()) + " layers, the config " +
                                            std::to_string(parsed.diff_ids.size()));
    }
    if (!covers(layers, parsed.diff_ids)) {
        std::optional<oci::ChainId> chain;
        for (std::size_t i = 0; i < files.size(); ++i) {
            const auto& diff = parsed.diff_ids[i];
            try {
                import_layer(layers, chain, diff, files[i]);
            } catch (Error& error) {
                throw std::move(
                    error.add_context("layer " + std::to_string(i + 1) + " of " + std::to_string(files.size())));
            }
            chain = oci::chain_id(chain, diff);
        }
    }
    return store.put_blob(config);
}

Imported import_image(oci::Store& store, layers::LayerStore& layers, std::string_view text,
                      const oci::Platform& platform) {
    try {
        if (text.starts_with(layout_scheme)) {
            const auto spec = parse_spec(text.substr(layout_scheme.size()));
            const auto files = open_image_directory(spec.path);
            return import_from_layout(*files, store, layers, spec.choice, platform);
        }
        const bool docker = text.starts_with(docker_scheme);
        const auto spec = parse_spec(text.substr(docker ? docker_scheme.size() : oci_scheme.size()));
        const auto files = open_image_archive(open_path(spec.path, O_RDONLY | O_NOCTTY), store);
        if (docker) return import_from_docker(*files, store, layers, spec.choice);
        return import_from_layout(*files, store, layers, spec.choice, platform);
    } catch (Error& error) {
        throw std::move(error.add_context(std::string(text)));
    }
}

std::vector<Imported> import_archive(oci::Store& store, layers::LayerStore& layers, UniqueFd file,
                                     const std::string& what, const oci::Platform& platform) {
    try {
        const auto files = open_image_archive(std::move(file), store);
        // Archives of newer dockers are both: their manifest.json speaks only of what they hold.
        if (files->find("manifest.json")) return import_all_from_docker(*files, store, layers);
        if (files->find("oci-layout")) return import_all_from_layout(*files, store, layers, platform);
        throw Error(ErrorCode::corrupt, "it is neither a docker nor an OCI archive",
                    files->find("repositories")
                        ? "it was saved by a docker older than 1.10: save it again with a newer one"
                        : "mkimg import makes an image from a root file system");
    } catch (Error& error) {
        throw std::move(error.add_context(what));
    }
}

}  // namespace mkimg::builder

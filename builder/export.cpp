#include "builder/export.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "builder/export_archive.h"
#include "builder/export_file.h"
#include "builder/export_layout.h"
#include "builder/export_tree.h"

namespace mkimg::builder {

namespace {

constexpr std::uint64_t index_limit = 8U << 20U;

std::vector<ExportImage> with_name(std::span<const ExportImage> images, const std::string& name) {
    std::vector<ExportImage> named(images.begin(), images.end());
    if (name.empty()) return named;
    for (const auto& part : split(name, ',')) {
        const auto reference = oci::Reference::parse(trim(part));
        auto& names = named.front().names;
        if (std::find(names.begin(), names.end(), reference) == names.end()) names.push_back(reference);
    }
    return named;
}

// What an OCI layout in this directory lists; nothing for an empty one. Anything else is not touched.
oci::Index old_index_of(int directory, const std::string& path) {
    const auto entries = list_directory(directory);
    if (entries.empty()) return {};
    const auto has = [&](std::string_view name) {
        return std::any_of(entries.begin(), entries.end(), [&](const auto& entry) { return entry.name == name; });
    };
    if (!has("oci-layout") || !has("index.json")) {
        throw Error(ErrorCode::conflict, path + " is neither empty nor an OCI layout", "name a new directory");
    }
    const UniqueFd file = open_at(directory, "index.json", O_RDONLY | O_NOFOLLOW);
    return oci::Index::parse(read_all(file.get(), index_limit, path + "/index.json"));
}

std::vector<Exported> write_oci_directory(oci::Store& store, layers::LayerStore& layers,
                                          std::span<const ExportImage> images, const OutputSpec& output) {
    const std::string& path = output.destination;
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) {
        const UniqueFd directory = open_path(path, O_RDONLY | O_DIRECTORY);
        DirectoryLayoutWriter writer(directory.get());
        return write_oci_layout(store, layers, images, output, writer, old_index_of(directory.get(), path));
    }
    // A new directory appears whole.
    std::string whole = path;
    while (whole.size() > 1 && whole.ends_with('/')) whole.pop_back();
    const std::string temporary = whole + ".mkimg-" + std::to_string(::getpid());
    std::vector<Exported> exported;
    try {
        const UniqueFd directory = open_output_directory(temporary);
        DirectoryLayoutWriter writer(directory.get());
        exported = write_oci_layout(store, layers, images, output, writer);
        if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, whole.c_str(), RENAME_NOREPLACE) != 0) {
            throw_errno("rename into place", whole);
        }
    } catch (...) {
        remove_tree(AT_FDCWD, temporary);
        throw;
    }
    return exported;
}

std::vector<Exported> export_tree(oci::Store& store, layers::LayerStore& layers, const ExportImage& image,
                                  const OutputSpec& output, const ExportOptions& options) {
    const auto config = oci::ImageConfig::parse(store.read_blob(image.id));
    const auto top = oci::chain_id(config.diff_ids);
    if (output.type == OutputType::tar) {
        OutputFile file(output.destination);
        write_tree_archive(layers, top, file.fd(), options.epoch);
        file.commit();
    } else {
        const UniqueFd directory = open_output_directory(output.destination);
        write_tree(layers, top, directory.get(), options.epoch);
    }
    return {{image.id, std::nullopt, image.names}};
}

std::vector<Exported> export_archive(oci::Store& store, layers::LayerStore& layers, std::span<const ExportImage> images,
                                     const OutputSpec& output) {
    if (!output.tar) return write_oci_directory(store, layers, images, output);
    OutputFile file(output.destination);
    TarLayoutWriter writer(file.fd());
    auto exported = output.type == OutputType::oci ? write_oci_layout(store, layers, images, output, writer)
                                                   : write_docker_archive(store, layers, images, output, writer);
    file.commit();
    return exported;
}

}  // namespace

std::string Exported::metadata_json() const {
    nlohmann::json out{{"containerimage.config.digest", config.str()}};
    if (manifest) {
        out["containerimage.digest"] = manifest->digest.str();
        out["containerimage.descriptor"] = {
            {"mediaType", manifest->media_type}, {"digest", manifest->digest.str()}, {"size", manifest->size}};
        if (manifest->platform) {
            auto& platform = out["containerimage.descriptor"]["platform"];
            platform = {{"os", manifest->platform->os}, {"architecture", manifest->platform->architecture}};
            if (!manifest->platform->variant.empty()) platform["variant"] = manifest->platform->variant;
        }
    }
    if (!names.empty()) {
        std::vector<std::string> texts;
        for (const auto& name : names) texts.push_back(name.str());
        out["image.name"] = join(texts, ",");
    }
    return out.dump(2) + "\n";
}

std::vector<Exported> export_images(oci::Store& store, layers::LayerStore& layers, std::span<const ExportImage> images,
                                    const OutputSpec& output, const ExportOptions& options) {
    const auto named = with_name(images, output.name);
    try {
        switch (output.type) {
            case OutputType::oci:
            case OutputType::docker: return export_archive(store, layers, named, output);
            case OutputType::local:
            case OutputType::tar:
                if (named.size() != 1) throw Error(ErrorCode::usage, "a tree is written of one image");
                return export_tree(store, layers, named.front(), output, options);
            case OutputType::image:
            case OutputType::cache_only: break;
        }
    } catch (Error& error) {
        throw std::move(error.add_context("write " + (output.destination == "-" ? "stdout" : output.destination)));
    }
    std::vector<Exported> exported;
    exported.reserve(named.size());
    for (const auto& image : named) exported.push_back({image.id, std::nullopt, image.names});
    return exported;
}

}  // namespace mkimg::builder

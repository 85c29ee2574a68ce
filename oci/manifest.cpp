// Manifest and Index. A text must be one of the two beyond doubt: a registry that serves one text as
// a manifest to one reader and as an index to another could slip an image past a check of either.
#include "base/error.h"
#include "oci/image_config.h"
#include "oci/json_fields.h"

namespace mkimg::oci {
namespace {

using Json = nlohmann::json;

bool names_manifest(std::string_view type) {
    return type == media_type::oci_manifest || type == media_type::docker_manifest;
}
bool names_index(std::string_view type) {
    return type == media_type::oci_index || type == media_type::docker_manifest_list;
}

// The media type decides, the fields must agree; without one the fields decide.
bool looks_like_index(const Fields& fields) {
    const std::string type = fields.text("mediaType");
    const bool index_fields = fields.has("manifests");
    const bool manifest_fields = fields.has("config") || fields.has("layers");
    if (fields.has("fsLayers") || fields.integer("schemaVersion") == 1) {
        throw Error(ErrorCode::unsupported, fields.path() + " has the old schema 1, which names no config",
                    "pull and push the image with a newer tool, which converts it");
    }
    if (index_fields && manifest_fields) {
        throw Error(ErrorCode::corrupt, fields.path() + " has the fields of a manifest and of an index; it is refused");
    }
    if ((names_index(type) && manifest_fields) || (names_manifest(type) && index_fields)) {
        throw Error(ErrorCode::corrupt,
                    fields.path() + " has the media type " + type + " and the fields of the other kind; it is refused");
    }
    if (!type.empty() && !names_index(type) && !names_manifest(type)) {
        throw Error(ErrorCode::unsupported, fields.path() + " has the media type " + type + ", which mkimg can't read");
    }
    return names_index(type) || (type.empty() && index_fields);
}

void check_version(const Fields& fields) {
    if (fields.integer("schemaVersion") != 2) fields.fail("schemaVersion", "must be 2");
}

Descriptor parse_descriptor(const Fields& fields) {
    const std::string text = fields.text("digest");
    const auto digest = Digest::parse(text);
    if (!digest) {
        if (text.starts_with("sha512:")) {
            throw Error(ErrorCode::unsupported, fields.path() + ": digest " + text + ": only sha256 is supported");
        }
        fields.fail("digest", "must be \"sha256:\" and 64 hex digits, not \"" + text + "\"");
    }
    Descriptor descriptor{fields.text("mediaType"), *digest};
    const std::int64_t size = fields.integer("size");
    if (size < 0 || !fields.has("size")) fields.fail("size", "must be a size in bytes");
    descriptor.size = static_cast<std::uint64_t>(size);
    descriptor.annotations = fields.text_map("annotations");
    if (const auto platform = fields.object("platform")) descriptor.platform = platform->platform();
    return descriptor;
}

Json descriptor_json(const Descriptor& descriptor) {
    Json out = Json::object();
    out["mediaType"] = descriptor.media_type;
    out["digest"] = descriptor.digest.str();
    out["size"] = descriptor.size;
    if (!descriptor.annotations.empty()) out["annotations"] = descriptor.annotations;
    if (descriptor.platform) {
        Json& platform = out["platform"];
        platform["os"] = descriptor.platform->os;
        platform["architecture"] = descriptor.platform->architecture;
        if (!descriptor.platform->variant.empty()) platform["variant"] = descriptor.platform->variant;
    }
    return out;
}

std::string to_text(const std::string& type, const char* list, const std::vector<Descriptor>& descriptors,
                    const std::map<std::string, std::string>& annotations, const Descriptor* config) {
    Json out = Json::object();
    out["schemaVersion"] = 2;
    out["mediaType"] = type;
    if (config != nullptr) out["config"] = descriptor_json(*config);
    Json elements = Json::array();
    for (const Descriptor& descriptor : descriptors) elements.push_back(descriptor_json(descriptor));
    out[list] = std::move(elements);
    if (!annotations.empty()) out["annotations"] = annotations;
    return write_document(out);
}

}  // namespace

bool is_index(std::string_view json) {
    const Json document = parse_document(json, "the manifest");
    return looks_like_index(Fields(document, "the manifest"));
}

Manifest Manifest::parse(std::string_view json) {
    const Json document = parse_document(json, "the manifest");
    const Fields fields(document, "the manifest");
    if (looks_like_index(fields)) throw Error(ErrorCode::corrupt, "an index stands where a manifest was expected");
    check_version(fields);
    const auto config = fields.object("config");
    if (!config) fields.fail("config", "is missing");
    Manifest manifest{.config = parse_descriptor(*config)};
    if (fields.has("mediaType")) manifest.media_type = fields.text("mediaType");
    for (const Fields& layer : fields.objects("layers", max_layers)) manifest.layers.push_back(parse_descriptor(layer));
    manifest.annotations = fields.text_map("annotations");
    return manifest;
}

std::string Manifest::to_json() const {
    return to_text(media_type, "layers", layers, annotations, &config);
}

Index Index::parse(std::string_view json) {
    const Json document = parse_document(json, "the index");
    const Fields fields(document, "the index");
    if (!looks_like_index(fields)) throw Error(ErrorCode::corrupt, "a manifest stands where an index was expected");
    check_version(fields);
    Index index;
    if (fields.has("mediaType")) index.media_type = fields.text("mediaType");
    for (const Fields& entry : fields.objects("manifests", max_layers)) {
        index.manifests.push_back(parse_descriptor(entry));
    }
    index.annotations = fields.text_map("annotations");
    return index;
}

std::string Index::to_json() const {
    return to_text(media_type, "manifests", manifests, annotations, nullptr);
}

}  // namespace mkimg::oci

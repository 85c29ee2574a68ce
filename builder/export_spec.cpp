#include "builder/export_spec.h"

#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace mkimg::builder {

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

[[noreturn]] void fail(const std::string& message, std::string hint = {}) {
    throw Error(ErrorCode::usage, "--output: " + message, std::move(hint));
}

// One CSV record (RFC 4180): a field may stand in double quotes, doubled inside it.
std::vector<std::string> split_csv(std::string_view text) {
    std::vector<std::string> fields(1);
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quoted) {
            if (c != '"') {
                fields.back() += c;
            } else if (i + 1 < text.size() && text[i + 1] == '"') {
                fields.back() += text[++i];
            } else {
                quoted = false;
                if (i + 1 < text.size() && text[i + 1] != ',') fail("a comma is needed after a closing quote");
            }
        } else if (c == ',') {
            fields.emplace_back();
        } else if (c == '"') {
            if (!fields.back().empty()) fail("a quoted field begins with its quote: \"dest=a,b.tar\"");
            quoted = true;
        } else {
            fields.back() += c;
        }
    }
    if (quoted) fail("a quote is not closed");
    return fields;
}

[[noreturn]] void fail_with_nearest(const std::string& what, const std::string& word,
                                    const std::vector<std::string>& known) {
    const auto near = nearest(word, known);
    fail("unknown " + what + " " + word + (near ? "; did you mean " + *near + "?" : ""),
         "there are " + join(known, ", "));
}

bool parse_bool(const std::string& key, const std::string& value) {
    const std::string lower = to_lower(value);
    if (lower == "true" || lower == "1") return true;
    if (lower == "false" || lower == "0") return false;
    fail(key + "=" + value + ": true or false is needed");
}

OutputType parse_type(const std::string& type) {
    if (type == "oci") return OutputType::oci;
    if (type == "docker") return OutputType::docker;
    if (type == "local") return OutputType::local;
    if (type == "tar") return OutputType::tar;
    if (type == "cacheonly") return OutputType::cache_only;
    if (type == "image" || type == "registry") return OutputType::image;
    fail_with_nearest("type", type, {"oci", "docker", "local", "tar", "image", "registry", "cacheonly"});
}

layers::Compression parse_compression(const std::string& format) {
    if (format == "gzip") return layers::Compression::gzip;
    if (format == "zstd") return layers::Compression::zstd;
    if (format == "uncompressed") return layers::Compression::none;
    if (format == "estargz") throw Error(ErrorCode::unsupported, "--output: compression=estargz is not supported yet");
    fail_with_nearest("compression", format, {"gzip", "zstd", "uncompressed"});
}

int parse_level(const std::string& value, layers::Compression format) {
    const auto level = parse_u64(value);
    const std::uint64_t highest = format == layers::Compression::zstd ? 22 : 9;
    if (format == layers::Compression::none) fail("compression-level has no meaning without compression");
    if (!level || *level < 1 || *level > highest) {
        fail("compression-level=" + value + ": 1 to " + std::to_string(highest) + " is needed");
    }
    return static_cast<int>(*level);
}

// What a type takes besides type and dest.
std::vector<std::string> keys_of(OutputType type) {
    switch (type) {
        case OutputType::oci:
            return {"type",
                    "dest",
                    "tar",
                    "compression",
                    "compression-level",
                    "force-compression",
                    "oci-mediatypes",
                    "rewrite-timestamp",
                    "name",
                    "annotation.KEY"};
        case OutputType::docker:
            return {"type", "dest", "compression", "compression-level", "force-compression", "rewrite-timestamp",
                    "name"};
        case OutputType::local:
        case OutputType::tar: return {"type", "dest"};
        case OutputType::image:
            return {"type",
                    "name",
                    "push",
                    "compression",
                    "compression-level",
                    "force-compression",
                    "oci-mediatypes",
                    "rewrite-timestamp",
                    "annotation.KEY"};
        case OutputType::cache_only: return {"type"};
    }
    return {};
}

void check_keys(const Fields& fields, const std::string& type, const std::vector<std::string>& known) {
    std::vector<std::string> seen;
    for (const auto& [key, value] : fields) {
        const bool annotation = key.starts_with("annotation.") && key.size() > 11;
        const std::string& name = annotation ? known.back() : key;
        bool found = false;
        for (const auto& candidate : known) found = found || candidate == name;
        if (!found || (annotation && name != "annotation.KEY"))
            fail_with_nearest("key of type=" + type + ":", key, known);
        for (const auto& earlier : seen) {
            if (earlier == key) fail(key + " is given twice");
        }
        seen.push_back(key);
    }
}

}  // namespace

OutputSpec parse_output(std::string_view text) {
    OutputSpec spec;
    if (text.empty()) fail("a value is needed", "for example type=oci,dest=app.tar, or a directory");
    const auto parts = split_csv(text);
    // `-o out` is the short form that docker has.
    if (parts.size() == 1 && parts[0].find('=') == std::string::npos) {
        spec.type = parts[0] == "-" ? OutputType::tar : OutputType::local;
        spec.destination = parts[0];
        return spec;
    }
    Fields fields;
    std::string type;
    for (const auto& part : parts) {
        const std::size_t equals = part.find('=');
        if (equals == std::string::npos) fail("\"" + part + "\" is not KEY=VALUE");
        fields.emplace_back(to_lower(trim(part.substr(0, equals))), part.substr(equals + 1));
        // Annotation keys keep their case.
        if (fields.back().first.starts_with("annotation."))
            fields.back().first = std::string(trim(part.substr(0, equals)));
        if (fields.back().first == "type") type = fields.back().second;
    }
    if (type.empty()) fail("type is missing", "for example type=oci,dest=app.tar");
    spec.type = parse_type(type);
    check_keys(fields, type, keys_of(spec.type));

    if (type == "registry") spec.push = true;
    std::optional<layers::Compression> format;
    std::string level;
    bool force = false;
    for (const auto& [key, value] : fields) {
        if (key == "dest") spec.destination = value;
        if (key == "tar") spec.tar = parse_bool(key, value);
        if (key == "name") spec.name = value;
        if (key == "push") spec.push = parse_bool(key, value);
        if (key == "compression") format = parse_compression(value);
        if (key == "compression-level") level = value;
        if (key == "force-compression") force = parse_bool(key, value);
        if (key == "oci-mediatypes") {
            spec.oci_media_types = parse_bool(key, value);
            spec.oci_media_types_given = true;
        }
        if (key == "rewrite-timestamp" && parse_bool(key, value)) {
            throw Error(ErrorCode::unsupported, "--output: rewrite-timestamp=true is not supported yet",
                        "--source-date-epoch bounds the times in the layers that a build makes");
        }
        if (key.starts_with("annotation.")) spec.annotations[key.substr(11)] = value;
    }
    const auto usual = spec.type == OutputType::docker ? layers::Compression::none : layers::Compression::gzip;
    spec.compression.format = format.value_or(usual);
    spec.compression_given = format || !level.empty() || force;
    if (!level.empty()) spec.compression.level = parse_level(level, spec.compression.format);
    // Forms that layers came in have no level: naming one leaves only those that mkimg made itself.
    if (force && level.empty()) spec.compression.level = spec.compression.format == layers::Compression::zstd ? 3 : 1;
    if (!spec.oci_media_types && spec.compression.format == layers::Compression::zstd) {
        fail("compression=zstd needs OCI media types", "leave out oci-mediatypes=false");
    }
    const bool to_file = spec.type != OutputType::cache_only && spec.type != OutputType::image;
    if (to_file && spec.destination.empty()) {
        fail("type=" + type + " needs dest", "dest=- writes to stdout");
    }
    if (spec.destination == "-" && (spec.type == OutputType::local || !spec.tar)) {
        fail("a directory can't be written to stdout", "type=tar writes a tar there");
    }
    return spec;
}

}  // namespace mkimg::builder

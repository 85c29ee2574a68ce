#include "registry/repository.h"

#include <array>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "oci/json_fields.h"

namespace mkimg::registry {
namespace {

namespace type = oci::media_type;

constexpr std::array known_types{type::oci_manifest, type::oci_index, type::docker_manifest,
                                 type::docker_manifest_list};

std::string accept_header() {
    std::string value;
    for (const auto known : known_types) value += (value.empty() ? "" : ", ") + std::string(known);
    return value;
}

// Content-Type without its parameters.
std::string content_type(const Response& response) {
    const std::string_view value = response.header("content-type").value_or("");
    return to_lower(trim(value.substr(0, value.find(';'))));
}

[[noreturn]] void refuse_type(const std::string& what, const std::string& given) {
    if (given.starts_with("application/vnd.docker.distribution.manifest.v1+")) {
        throw Error(ErrorCode::unsupported, what + ": it is a manifest of Docker's schema 1, which is not supported",
                    "push the image again with a client that is not older than 2016");
    }
    throw Error(ErrorCode::unsupported,
                what + ": the Content-Type is " + (given.empty() ? "missing" : printable(given.substr(0, 100))) +
                    ", which is no image manifest or index",
                "is it an image at all, or a page of some proxy?");
}

// An image manifest read as an index, or the other way round, has other content under the same digest
// (CVE-2021-41190): the header, the mediaType field and the fields themselves must all say the same.
void check_type(const ManifestDocument& document, const std::string& what) {
    const auto json = oci::parse_document(document.bytes, what + ": the manifest");
    if (!json.is_object()) throw Error(ErrorCode::corrupt, what + ": the manifest is no JSON object");
    if (json.value("schemaVersion", nlohmann::json()) == 1) {
        refuse_type(what, "application/vnd.docker.distribution.manifest.v1+json");
    }
    const auto field = json.find("mediaType");
    if (field != json.end() && *field != document.media_type) {
        throw Error(ErrorCode::corrupt,
                    what + ": the Content-Type is " + document.media_type + ", but the document says mediaType " +
                        printable(field->dump().substr(0, 120)),
                    "the registry, or something between, changes what it serves");
    }
    if (oci::is_index(document.bytes) != document.is_index()) {
        throw Error(ErrorCode::corrupt,
                    what + ": the document is not the " + document.media_type + " that it is said to be");
    }
}

Request get(std::string method) {
    Request request;
    request.method = std::move(method);
    return request;
}

// Takes no more than it was told to expect.
class BlobText final : public Receiver {
  public:
    void begin(const Response&) override { text_.clear(); }
    void write(std::span<const std::byte> bytes) override { text_ += as_text(bytes); }
    std::string take() { return std::move(text_); }

  private:
    std::string text_;
};

}  // namespace

bool ManifestDocument::is_index() const {
    return media_type == type::oci_index || media_type == type::docker_manifest_list;
}

ManifestDocument Repository::get_manifest(const std::string& reference) {
    Request request = get("GET");
    request.headers.emplace_back("accept", accept_header());
    const std::string what = str() + (oci::Digest::parse(reference) ? "@" : ":") + reference;
    Response response = [&] {
        try {
            return client_->send(path("manifests/" + reference), request, {.scopes = pull_scope()});
        } catch (HttpError& error) {
            if (error.status() == 404) error.set_hint("there is no " + what + "; check the name and the tag");
            throw;
        }
    }();
    const oci::Digest digest = oci::digest_of(response.body);
    ManifestDocument document{std::move(response.body), content_type(response), digest};
    const auto wanted = oci::Digest::parse(reference);
    const auto said = response.header("docker-content-digest");
    if (wanted && document.digest != *wanted) {
        throw Error(ErrorCode::corrupt,
                    what + ": the registry sent other content, whose digest is " + document.digest.str(),
                    "the registry, or something between, changes what it serves");
    }
    if (!wanted && said && oci::Digest::parse(*said) && *said != document.digest.str()) {
        throw Error(ErrorCode::corrupt,
                    what + ": the content's digest is " + document.digest.str() + ", but Docker-Content-Digest says " +
                        printable(said->substr(0, 100)),
                    "the registry, or something between, changes what it serves");
    }
    bool known = false;
    for (const auto one : known_types) known = known || document.media_type == one;
    if (!known) refuse_type(what, document.media_type);
    check_type(document, what);
    return document;
}

std::optional<oci::Digest> Repository::find_manifest(const std::string& reference, const Scopes& scopes) {
    Request request = get("HEAD");
    request.headers.emplace_back("accept", accept_header());
    // 405 and 400: a registry that knows no HEAD.
    const Response response =
        client_->send(path("manifests/" + reference), request, {.scopes = scopes, .accepted = {200, 400, 404, 405}});
    if (response.status != 200) return std::nullopt;
    const auto said = response.header("docker-content-digest");
    return said ? oci::Digest::parse(*said) : std::nullopt;
}

bool Repository::has_blob(const oci::Digest& digest) {
    // 403: where the registry leads to a store of its own with an address that is good for GET alone. Who may not push
    // is told so when the upload begins.
    const Response response = client_->send(path("blobs/" + digest.str()), get("HEAD"),
                                            {.scopes = push_scope(), .accepted = {200, 400, 403, 404, 405}});
    return response.status == 200;
}

std::string Repository::get_blob(const oci::Descriptor& blob) {
    if (blob.size > document_limit) {
        throw Error(ErrorCode::corrupt, str() + "@" + blob.digest.str() + " is said to have " +
                                            std::to_string(blob.size) + " bytes, more than a document may have");
    }
    Request request = get("GET");
    request.limit = blob.size;
    BlobText text;
    client_->send(path("blobs/" + blob.digest.str()), request, {.scopes = pull_scope(), .receiver = &text});
    std::string bytes = text.take();
    if (bytes.size() != blob.size || oci::digest_of(bytes) != blob.digest) {
        throw Error(ErrorCode::corrupt,
                    str() + "@" + blob.digest.str() + ": the registry sent something else than its manifest says",
                    "the registry, or something between, changes what it serves");
    }
    return bytes;
}

void Repository::get_blob(const oci::Descriptor& blob, std::uint64_t offset, Receiver& receiver) {
    Request request = get("GET");
    request.document = false;
    request.limit = blob.size;
    if (offset > 0) request.headers.emplace_back("range", "bytes=" + std::to_string(offset) + "-");
    client_->send(path("blobs/" + blob.digest.str()), request,
                  {.scopes = pull_scope(), .accepted = {200, 206}, .retry = false, .receiver = &receiver});
}

oci::Digest Repository::put_manifest(const std::string& reference, std::string_view bytes,
                                     std::string_view media_type) {
    Request request = get("PUT");
    request.headers.emplace_back("content-type", std::string(media_type));
    const std::string text(bytes);
    request.body =
        Body{text.size(), [&text]() -> std::unique_ptr<Source> { return std::make_unique<MemorySource>(text); }};
    const Response response =
        client_->send(path("manifests/" + reference), request, {.scopes = push_scope(), .accepted = {201, 200, 202}});
    const oci::Digest digest = oci::digest_of(bytes);
    const auto said = response.header("docker-content-digest");
    if (said && *said != digest.str()) {
        throw Error(ErrorCode::corrupt,
                    str() + ": the manifest was sent with the digest " + digest.str() +
                        ", and the registry has taken it as " + printable(said->substr(0, 100)),
                    "the registry, or something between, changes what it is given");
    }
    return digest;
}

ManifestDocument get_manifest(std::span<const Repository> sources, const std::string& reference) {
    for (std::size_t i = 0;; ++i) {
        try {
            Repository source = sources[i];
            return source.get_manifest(reference);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::cancelled || i + 1 == sources.size()) throw;
        }
    }
}

ManifestDocument get_manifest(std::span<const Repository> sources, const oci::Descriptor& named) {
    ManifestDocument document = get_manifest(sources, named.digest.str());
    if (document.media_type == named.media_type && document.bytes.size() == named.size) return document;
    throw Error(ErrorCode::corrupt, sources.back().str() + "@" + named.digest.str() + " is " + document.media_type +
                                        " of " + std::to_string(document.bytes.size()) +
                                        " bytes, but its index says it is " + printable(named.media_type) + " of " +
                                        std::to_string(named.size));
}

}  // namespace mkimg::registry

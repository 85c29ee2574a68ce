#include "registry/upload_session.h"

#include <algorithm>

#include "base/text.h"

namespace mkimg::registry {

UploadSession::UploadSession(Repository repository)
    : repository_(std::move(repository)), client_(repository_.client()) {}

bool UploadSession::begin(const std::string& query, const Scopes& scopes, bool retry) {
    const std::string path = repository_.path("blobs/uploads/") + query;
    Request request;
    request.method = "POST";
    const Response response = client_.send(path, request, {.scopes = scopes, .accepted = {201, 202}, .retry = retry});
    if (response.status == 201) return true;
    take_location(response, client_.url(path));
    if (const auto least = response.header("oci-chunk-min-length")) {
        least_chunk_ = std::max(least_chunk_, parse_u64(*least).value_or(0));
    }
    return false;
}

void UploadSession::abandon() noexcept {
    if (!location_) return;
    try {
        Request request;
        request.method = "DELETE";
        client_.send(*location_, request,
                     {.scopes = repository_.push_scope(), .accepted = {200, 202, 204}, .retry = false});
    } catch (const std::exception&) {
        // Registries clean up by themselves what nobody ends.
    }
    location_.reset();
}

void UploadSession::take_location(const Response& response, const Url& base) {
    const auto location = response.header("location");
    if (!location) {
        throw Error(ErrorCode::corrupt,
                    repository_.str() + ": the registry began an upload and gave no Location for it");
    }
    Url url;
    try {
        url = base.resolve(*location);
    } catch (Error& error) {
        error.add_context(repository_.str() + ": the upload's Location");
        throw;
    }
    // As for redirects: what was https stays https.
    const Url root = client_.root();
    const bool plain = root.scheme == "http" && (url.host == root.host || is_loopback(url.host));
    if (url.scheme != "https" && !plain) {
        throw Error(
            ErrorCode::denied,
            repository_.str() + ": the upload's Location " + url.redacted() + " leaves https, and is not followed",
            "a registry behind a proxy must be told that it is reached by https (X-Forwarded-Proto)");
    }
    location_ = std::move(url);
}

Url UploadSession::with_digest(const oci::Digest& digest) const {
    Url url = *location_;
    url.query += (url.query.empty() ? "digest=" : "&digest=") + percent_encode(digest.str());
    return url;
}

void UploadSession::patch(Body body, const std::optional<std::string>& range) {
    Request request;
    request.method = "PATCH";
    request.document = false;
    request.headers = {{"content-type", "application/octet-stream"}};
    if (range) request.headers.emplace_back("content-range", *range);
    request.body = std::move(body);
    const Url at = *location_;
    const Response response =
        client_.send(at, request, {.scopes = repository_.push_scope(), .accepted = {202, 201, 204}, .retry = false});
    if (response.header("location")) take_location(response, at);
}

void UploadSession::put(const oci::Digest& digest, Body body) {
    Request request;
    request.method = "PUT";
    request.document = false;
    request.headers = {{"content-type", "application/octet-stream"}};
    if (body.size > 0) request.body = std::move(body);
    const Response response = client_.send(
        with_digest(digest), request, {.scopes = repository_.push_scope(), .accepted = {201, 204}, .retry = false});
    const auto said = response.header("docker-content-digest");
    if (said && *said != digest.str()) {
        throw Error(ErrorCode::corrupt,
                    repository_.str() + ": the blob was sent with the digest " + digest.str() +
                        ", and the registry has taken it as " + printable(said->substr(0, 100)),
                    "the registry, or something between, changes what it is given");
    }
}

std::optional<std::uint64_t> UploadSession::taken() {
    Request request;
    const Url at = *location_;
    const Response response =
        client_.send(at, request, {.scopes = repository_.push_scope(), .accepted = {204, 200}, .retry = false});
    const std::string_view range = response.header("range").value_or("");
    const std::size_t dash = range.find('-');
    const auto last = dash == std::string_view::npos ? std::nullopt : parse_u64(range.substr(dash + 1));
    // "0-0" means nothing or one byte: nothing is the safe reading.
    if (!last || *last == 0 || *last == UINT64_MAX) return std::nullopt;
    if (response.header("location")) take_location(response, at);
    return *last + 1;
}

}  // namespace mkimg::registry

#include "registry/client.h"

#include <mutex>
#include <utility>

#include "base/text.h"
#include "registry/backoff.h"
#include "registry/token.h"

namespace mkimg::registry {
namespace {

constexpr int most_redirects = 5;
constexpr int most_challenges = 3;  // the first, an expired token's, one more for wider scopes

bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string_view reason_of(int status) {
    switch (status) {
        case 400: return "bad request";
        case 401: return "unauthorized";
        case 403: return "forbidden";
        case 404: return "not found";
        case 405: return "method not allowed";
        case 408: return "request timeout";
        case 413: return "too large";
        case 416: return "range not satisfiable";
        case 429: return "too many requests";
        case 500: return "internal server error";
        case 502: return "bad gateway";
        case 503: return "service unavailable";
        case 504: return "gateway timeout";
        default: return "unexpected answer";
    }
}

ErrorCode code_of(int status) {
    if (status == 401 || status == 403) return ErrorCode::denied;
    if (status == 404) return ErrorCode::not_found;
    if (status == 429 || status == 408 || status >= 500) return ErrorCode::unavailable;
    return ErrorCode::corrupt;  // an answer that the specification does not have here
}

std::string hint_for(int status, const std::string& host, const std::string& who) {
    if (status == 401 || status == 403) {
        return who == "anonymous"
                   ? "if the repository is private, run mkimg login " + host
                   : who + " may lack the right to do this; mkimg login " + host + " changes who you are";
    }
    if (status == 429) return "the registry limits how often it is asked: wait, or log in with mkimg login " + host;
    if (status >= 500) return "the registry has trouble: try again later";
    return {};
}

// In contrast to what servers that speak TLS, too, say where they are asked in plain HTTP.
bool is_of_a_registry(const Response& response) {
    return response.status == 200 || response.status == 401 || response.header("docker-distribution-api-version") ||
           response.header("content-type").value_or("").starts_with("application/json");
}

std::optional<std::chrono::seconds> retry_after_of(const Response& response) {
    const auto value = response.header("retry-after");
    return value ? parse_retry_after(*value) : std::nullopt;
}

HttpError error_of(const Request& request, const Response& response, const std::string& host, const std::string& who) {
    std::string message = request.method + " " + request.url.redacted() + " as " + printable(who) + ": " +
                          std::to_string(response.status) + " " + std::string(reason_of(response.status));
    if (const std::string said = server_message(response.body); !said.empty()) message += ": " + said;
    return {code_of(response.status), std::move(message), hint_for(response.status, host, who), response.status,
            retry_after_of(response)};
}

Url origin(const std::string& scheme, const std::string& host) {
    // Docker's own name for its registry is not where it is (distribution's reference normalisation).
    return Url::parse(scheme + "://" + (host == "docker.io" ? "registry-1.docker.io" : host) + "/");
}

}  // namespace

struct Client::State {
    State(std::string the_host, const ClientServices& the_services, std::string the_prefix)
        : host(std::move(the_host)),
          services(the_services),
          prefix(std::move(the_prefix)),
          settings(services.config.host(host)) {}

    // Whether plain HTTP may be tried where nobody speaks TLS.
    bool may_be_plain(const Url& url) const { return settings.insecure || is_loopback(url.host); }

    // Where "/v2/…" lies below that root.
    Url at(Url below, const std::string& path) const {
        const std::size_t question = path.find('?');
        below.path = prefix + path.substr(0, question);
        if (question != std::string::npos) below.query = path.substr(question + 1);
        return below;
    }

    // Finds out once how the registry speaks. A GET or HEAD of `path` may be asked to that end; what came is its
    // answer.
    std::optional<Response> connect(const std::string& path = "/v2/", const Request& request = {}) {
        const std::lock_guard lock(mutex);
        if (authenticator) return std::nullopt;
        std::optional<Response> answer;
        root = origin("https", host);
        if (may_be_plain(root)) {
            answer = ask_plainly(path, request);
            if ((answer && is_of_a_registry(*answer)) || !speaks_tls(root)) {
                root = origin("http", host);
            } else {
                answer.reset();
            }
        }
        authenticator = std::make_unique<Authenticator>(host, root, &services.keychain, [this](const Request& asking) {
            return send_with_retries(asking, nullptr, true);
        });
        return answer;
    }

    // A registry on this machine most often speaks plain HTTP: asking so, as nobody, takes less time than to begin TLS.
    // What was answered, by whomever. Not where it is told whom to trust, or on the ports of the schemes.
    std::optional<Response> ask_plainly(const std::string& path, Request request) {
        const Url plain = origin("http", host);
        const bool told = !settings.ca_files.empty() || !settings.client_certificate.empty();
        if (told || !is_loopback(plain.host) || plain.port == 80 || plain.port == 443) return std::nullopt;
        request.url = at(plain, path);
        try {
            return services.transport.send(request);
        } catch (const TransportError&) {
            return std::nullopt;
        }
    }

    bool speaks_tls(Url url) {
        Request request;
        url.path = prefix + "/v2/";
        request.url = url;
        request.probe = true;
        for (Backoff backoff(services.config.retries(), services.cancel);;) {
            try {
                services.transport.send(request);
                return true;
            } catch (const TransportError& error) {
                if (error.not_tls() && !error.temporary()) return false;
                if (url.port == 443 && error.temporary()) return false;
                if (error.temporary() && backoff.wait()) continue;
                if (!error.not_tls()) throw;
                return false;
            }
        }
    }

    // `first`, where there is one, is what the first try was answered.
    Response send_with_retries(const Request& request, Receiver* receiver, bool retry,
                               std::optional<Response> first = std::nullopt) {
        Backoff backoff(services.config.retries(), services.cancel);
        for (;;) {
            services.cancel.check();
            try {
                Response response =
                    first ? *std::exchange(first, std::nullopt) : services.transport.send(request, receiver);
                if (!retry || !is_temporary_status(response.status)) return response;
                if (!backoff.wait(retry_after_of(response))) return response;
            } catch (const TransportError& error) {
                if (!retry || !error.temporary() || !backoff.wait()) throw;
            }
        }
    }

    // A redirect may lead anywhere, but never from https to http, and to http only where that may be spoken.
    Url redirected(const Request& request, const Response& response) const {
        const auto location = response.header("location");
        const std::string what = request.method + " " + request.url.redacted();
        if (!location) throw Error(ErrorCode::corrupt, what + ": a redirect without a Location");
        Url target;
        try {
            target = request.url.resolve(*location);
        } catch (Error& error) {
            error.add_context("following the redirect of " + what);
            throw;
        }
        if (target.scheme != "https" && (request.url.scheme == "https" || !may_be_plain(target))) {
            throw Error(ErrorCode::denied,
                        what + ": the redirect to " + target.redacted() + " leaves https, and is not followed",
                        "the registry, or something between, is set up wrongly or hostile");
        }
        return target;
    }

    std::string host;
    ClientServices services;
    std::string prefix;
    HostConfig settings;
    std::mutex mutex;
    Url root;  // valid once there is an authenticator
    std::unique_ptr<Authenticator> authenticator;
};

Client::Client(std::string host, const ClientServices& services, std::string prefix)
    : state_(std::make_unique<State>(std::move(host), services, std::move(prefix))) {}
Client::~Client() = default;

const std::string& Client::host() const noexcept {
    return state_->host;
}

Url Client::root() {
    state_->connect();
    return state_->root;
}

std::string Client::who() {
    state_->connect();
    return state_->authenticator->who();
}

Url Client::url(const std::string& path) {
    return state_->at(root(), path);
}

Response Client::send(const std::string& path, Request request, const Options& options) {
    const bool asks = (request.method == "GET" || request.method == "HEAD") && options.receiver == nullptr;
    auto answer = asks ? state_->connect(path, request) : std::nullopt;
    return send(url(path), std::move(request), options, std::move(answer));
}

Response Client::send(const Url& url, Request request, const Options& options) {
    state_->connect();
    return send(url, std::move(request), options, std::nullopt);
}

Response Client::send(const Url& url, Request request, const Options& options, std::optional<Response> first) {
    State& state = *state_;
    request.url = url;
    const Headers plain = request.headers;
    int redirects = 0;
    int challenges = 0;
    std::optional<std::string> answered;  // the Authorization that a challenge was just answered with
    for (;;) {
        // Whatever host a redirect or a Location leads to: what proves who we are is for the registry alone.
        const bool ours = request.url.same_origin(state.root);
        request.headers = plain;
        auto authorization = std::exchange(answered, std::nullopt);
        if (ours && !authorization && !first) authorization = state.authenticator->header(options.scopes);
        if (authorization) request.headers.emplace_back("authorization", *authorization);
        Response response =
            state.send_with_retries(request, options.receiver, options.retry, std::exchange(first, std::nullopt));

        if (response.status == 401 && ours && challenges++ < most_challenges) {
            try {
                answered = state.authenticator->answer(response, options.scopes, authorization);
            } catch (Error& error) {
                // A credential helper that was waiting for somebody is interrupted with us.
                state.services.cancel.check();
                error.add_context(request.method + " " + request.url.redacted());
                throw;
            }
            continue;
        }
        for (const int accepted : options.accepted) {
            if (response.status == accepted) return response;
        }
        // Only what has no body to be sent again may be led elsewhere.
        const bool follows = request.method == "GET" || request.method == "HEAD";
        if (follows && is_redirect(response.status)) {
            const Url target = state.redirected(request, response);
            if (++redirects > most_redirects) {
                throw Error(ErrorCode::corrupt,
                            "GET " + url.redacted() + ": more than " + std::to_string(most_redirects) + " redirects");
            }
            request.url = target;
            continue;
        }
        throw error_of(request, response, state.host, state.authenticator->who());
    }
}

}  // namespace mkimg::registry

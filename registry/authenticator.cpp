#include "registry/authenticator.h"

#include <algorithm>
#include <condition_variable>
#include <ctime>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/text.h"
#include "registry/challenge.h"
#include "registry/token.h"

namespace mkimg::registry {
namespace {

using Clock = std::chrono::steady_clock;

// The repository that `scopes` are about: of several, the one that is written to.
std::string repository_of(const Scopes& scopes) {
    std::string found;
    for (const auto& scope : scopes) {
        const std::size_t first = scope.find(':');
        const std::size_t last = scope.rfind(':');
        if (first == last) continue;
        const bool reads = std::string_view(scope).substr(last + 1) == "pull";
        if (!reads || found.empty()) found = scope.substr(first + 1, last - first - 1);
        if (!reads) break;
    }
    return found;
}

// "pull of library/debian", for people.
std::string described(const Scopes& scopes) {
    std::string out;
    for (const auto& scope : scopes) {
        const std::size_t first = scope.find(':');
        const std::size_t last = scope.rfind(':');
        if (first == last) continue;
        out += (out.empty() ? "" : ", ") + scope.substr(last + 1) + " of " + scope.substr(first + 1, last - first - 1);
    }
    return out.empty() ? "access" : out;
}

std::string name_of(const std::optional<Credential>& credential) {
    if (!credential) return "anonymous";
    if (!credential->username.empty()) return printable(credential->username);
    return credential->identity_token.empty() ? "the holder of a registry token" : "the holder of an identity token";
}

bool has_password(const std::optional<Credential>& credential) {
    return credential && !(credential->username.empty() && credential->password.empty());
}

std::optional<Credential> for_token_server(const std::optional<Credential>& credential) {
    const bool usable = has_password(credential) || (credential && !credential->identity_token.empty());
    return usable ? credential : std::nullopt;
}

const Challenge* find(const std::vector<Challenge>& challenges, std::string_view scheme) {
    for (const auto& challenge : challenges) {
        if (challenge.scheme == scheme && (scheme != "bearer" || challenge.parameters.contains("realm"))) {
            return &challenge;
        }
    }
    return nullptr;
}

std::string parameter(const Challenge* challenge, const char* name) {
    if (challenge == nullptr) return {};
    const auto found = challenge->parameters.find(name);
    return found == challenge->parameters.end() ? std::string() : found->second;
}

// A server may say back what it was sent. Then nothing of its message is shown.
std::string without_secrets(std::string message, const std::optional<Credential>& credential,
                            std::string_view authorization) {
    std::vector<std::string> secrets{std::string(authorization.substr(authorization.find(' ') + 1))};
    if (credential) {
        secrets.insert(secrets.end(), {credential->password, credential->identity_token, credential->registry_token,
                                       basic_authorization(*credential).substr(std::string_view("Basic ").size())});
    }
    const bool tells = std::any_of(secrets.begin(), secrets.end(), [&](const std::string& secret) {
        return !secret.empty() && message.find(secret) != std::string::npos;
    });
    return tells ? std::string() : message;
}

}  // namespace

struct Authenticator::State {
    // What is known for one set of scopes.
    struct Slot {
        std::string bearer;           // the header; empty: none
        Clock::time_point renewal{};  // when to get another one
        // header() has given it to somebody: it isn't refused for being wrong from the start, but for having
        // become so. One that is refused before has no better successor.
        bool in_use = false;
        std::optional<TokenQuery> query;  // got it, and will get the next
        bool basic_refused = false;
        bool fetching = false;         // some thread does
        std::optional<Error> failure;  // of the last fetch
    };

    const std::string host;
    const Url registry;
    const Keychain* const keychain;
    const SendPlain send;

    std::mutex mutex;
    std::condition_variable fetched;
    std::map<Scopes, Slot> slots;
    std::map<std::string, std::optional<Credential>, std::less<>> credentials;  // by repository
    std::string who = "anonymous";
    bool basic = false;  // the registry asked for it

    // All below are called with the mutex held.

    const std::optional<Credential>& credential_for(const Scopes& scopes) {
        const std::string repository = repository_of(scopes);
        auto found = credentials.find(repository);
        if (found == credentials.end()) {
            auto credential = keychain == nullptr ? std::nullopt : keychain->find(host, repository);
            found = credentials.emplace(repository, std::move(credential)).first;
        }
        who = name_of(found->second);
        return found->second;
    }

    std::optional<std::string> known(const Slot& slot, const Scopes& scopes) {
        if (basic && !slot.basic_refused && has_password(credential_for(scopes))) {
            return basic_authorization(*credential_for(scopes));
        }
        if (!slot.bearer.empty() && Clock::now() < slot.renewal) return slot.bearer;
        return std::nullopt;
    }

    // True where there was something to wait for. A failure of the thread that fetched is everybody's.
    void await(std::unique_lock<std::mutex>& lock, Slot& slot) {
        if (!slot.fetching) return;
        fetched.wait(lock, [&] { return !slot.fetching; });
        if (slot.failure) throw Error(*slot.failure);
    }

    // Gets a token for the slot's query, without the mutex meanwhile.
    void fetch(std::unique_lock<std::mutex>& lock, Slot& slot, const Scopes& scopes) {
        const TokenQuery query = *slot.query;
        const auto credential = for_token_server(credential_for(scopes));
        const std::string asking = who;
        slot.bearer.clear();
        slot.failure.reset();
        slot.fetching = true;
        lock.unlock();
        Token token;
        std::exception_ptr thrown;
        std::optional<Error> failure;
        try {
            token = ask(query, credential, asking);
        } catch (const Error& error) {
            failure = error;
            thrown = std::current_exception();
        } catch (const std::exception& error) {
            failure.emplace(ErrorCode::internal, error.what());
            thrown = std::current_exception();
        }
        lock.lock();
        slot.fetching = false;
        slot.failure = std::move(failure);
        fetched.notify_all();
        if (thrown) std::rethrow_exception(thrown);
        slot.renewal = Clock::now() + token.renewal;
        slot.bearer = std::move(token.authorization);
        slot.in_use = false;
    }

    Token ask(const TokenQuery& query, const std::optional<Credential>& credential, const std::string& asking) const {
        const std::string server = query.realm.redacted();
        try {
            const Response response = send(token_request(query, credential));
            if (response.status == 200) return parse_token(response.body, std::time(nullptr));
            refuse_token(response, query.realm.authority(), credential, asking);
        } catch (Error& error) {
            error.add_context("asking " + server + " for a token for " + host);
            throw;
        }
    }

    [[noreturn]] void refuse_token(const Response& response, const std::string& server,
                                   const std::optional<Credential>& credential, const std::string& asking) const {
        const std::string said = without_secrets(server_message(response.body), credential, {});
        const std::string tail = said.empty() ? std::string() : ": " + said;
        if (response.status == 401 || response.status == 403) {
            throw Error(ErrorCode::denied, server + " gives no token to " + asking + tail, login_hint(asking));
        }
        const std::string status = "status " + std::to_string(response.status);
        if (response.status >= 300 && response.status < 400) {
            throw Error(ErrorCode::corrupt, server + " answers with a redirect (" + status + "), which is not followed",
                        "tell whoever runs the registry: its token server must answer itself");
        }
        const bool passes = response.status == 429 || response.status >= 500;
        throw Error(passes ? ErrorCode::unavailable : ErrorCode::corrupt, server + " answers with " + status + tail);
    }

    std::string login_hint(const std::string& asking) const {
        if (asking == "anonymous") {
            return "the repository may not exist, or may need `mkimg login " + host + "`";
        }
        return "the repository may not exist, or not be for " + asking + "; `mkimg login " + host +
               "` changes who you are";
    }

    [[noreturn]] void refuse(const Response& response, const Challenge* challenge, const Scopes& scopes,
                             const std::optional<std::string>& used) {
        const auto& credential = credential_for(scopes);
        std::string said = server_message(response.body);
        if (said.empty()) said = printable(parameter(challenge, "error_description"));
        if (said.empty()) said = printable(parameter(challenge, "error"));
        said = without_secrets(std::move(said), credential, used.value_or(std::string()));
        throw Error(ErrorCode::denied,
                    host + " denies " + described(scopes) + " to " + who + ": 401 unauthorized" +
                        (said.empty() ? "" : ": " + said),
                    login_hint(who));
    }
};

Authenticator::Authenticator(std::string host, Url registry, const Keychain* keychain, SendPlain send)
    : state_(new State{std::move(host), std::move(registry), keychain, std::move(send)}) {}
Authenticator::~Authenticator() = default;

std::optional<std::string> Authenticator::header(const Scopes& scopes) {
    std::unique_lock lock(state_->mutex);
    const auto found = state_->slots.find(scopes);
    State::Slot none;
    State::Slot& slot = found == state_->slots.end() ? none : found->second;
    state_->await(lock, slot);
    auto known = state_->known(slot, scopes);
    if (!known && slot.query) {
        state_->fetch(lock, slot, scopes);
        known = slot.bearer;
    }
    slot.in_use = true;
    return known;
}

std::string Authenticator::answer(const Response& response, const Scopes& scopes,
                                  const std::optional<std::string>& used) {
    const auto challenges = parse_challenges(response.headers_named("www-authenticate"));
    const Challenge* const bearer = find(challenges, "bearer");
    const Challenge* const basic = find(challenges, "basic");
    std::unique_lock lock(state_->mutex);
    State::Slot& slot = state_->slots[scopes];
    state_->await(lock, slot);
    if (auto known = state_->known(slot, scopes); known && known != used) return *known;

    const auto& credential = state_->credential_for(scopes);
    if (used && has_password(credential) && *used == basic_authorization(*credential)) slot.basic_refused = true;
    if (bearer != nullptr) {
        if (credential && !credential->registry_token.empty()) {
            slot.bearer = bearer_authorization(credential->registry_token);
            slot.renewal = Clock::time_point::max();
            slot.query.reset();
            if (used == slot.bearer) state_->refuse(response, bearer, scopes, used);
            return slot.bearer;
        }
        if (used && *used == slot.bearer && !slot.in_use) state_->refuse(response, bearer, scopes, used);
        TokenQuery query;
        query.realm = token_server(state_->host, state_->registry, bearer->parameters.at("realm"),
                                   for_token_server(credential).has_value());
        query.service = parameter(bearer, "service");
        query.scopes = scopes;
        for (const auto& scope : split(parameter(bearer, "scope"), ' ')) {
            if (!scope.empty()) query.scopes.insert(scope);
        }
        slot.query = std::move(query);
        state_->fetch(lock, slot, scopes);
        return slot.bearer;
    }
    if (basic != nullptr && !slot.basic_refused && has_password(credential)) {
        state_->basic = true;
        slot.bearer.clear();
        slot.query.reset();
        return basic_authorization(*credential);
    }
    if (basic == nullptr) {
        throw Error(ErrorCode::denied,
                    state_->host + " denies " + described(scopes) + " to " + state_->who +
                        ": 401 unauthorized, and names no way to log in that mkimg knows",
                    "mkimg can answer Basic and Bearer challenges");
    }
    state_->refuse(response, basic, scopes, used);
}

std::string Authenticator::who() {
    const std::lock_guard lock(state_->mutex);
    return state_->who;
}

}  // namespace mkimg::registry

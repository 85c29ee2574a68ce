// A registry that is a list of answers, under the code that speaks to registries.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "registry/client.h"
#include "registry/repository.h"
#include "tests/unit/registry/environment.h"
#include "tests/unit/temp_dir.h"

namespace mkimg::registry {

struct SentRequest {
    std::string line;  // "GET https://r.example/v2/"
    Headers headers;
    std::string body;

    std::string header(std::string_view name) const {
        for (const auto& [key, value] : headers) {
            if (key == name) return value;
        }
        return {};
    }
};

// Answers "GET https://host/path?query" by what was set for it: its answers in turn, the last for ever. 404 else.
class FakeTransport final : public Transport {
  public:
    using Answer = std::function<Response(const Request&)>;

    FakeTransport& on(const std::string& line, Answer answer) {
        answers_.emplace_back(line, std::move(answer));
        return *this;
    }
    FakeTransport& on(const std::string& line, Response response) {
        return on(line, [response](const Request&) { return response; });
    }

    Response send(const Request& request, Receiver* receiver) override {
        SentRequest sent{request.method + " " + request.url.str(), request.headers, {}};
        if (request.body) {
            const auto source = request.body->open();
            StringSink sink;
            copy(*source, sink);
            sent.body = sink.take();
            if (request.body->size != Body::unknown) {
                EXPECT_EQ(sent.body.size(), request.body->size) << sent.line;
            }
        }
        Answer answer = take(sent);
        Response response = answer ? answer(request) : Response{.status = 404};
        if (receiver != nullptr && response.status / 100 == 2) {
            const std::string body = std::exchange(response.body, {});
            receiver->begin(response);
            receiver->write(as_bytes(body));
            if (break_after_body_ > 0) {
                --break_after_body_;
                throw TransportError(ErrorCode::unavailable, "the connection was reset", "", true);
            }
        }
        return response;
    }

    // The next so many bodies that are received are not the last of what was announced.
    void break_after_body(int times) { break_after_body_ = times; }

    std::vector<SentRequest> sent() {
        const std::lock_guard lock(mutex_);
        return sent_;
    }
    std::vector<std::string> lines() {
        std::vector<std::string> lines;
        for (const SentRequest& request : sent()) lines.push_back(request.line);
        return lines;
    }

  private:
    Answer take(const SentRequest& request) {
        const std::lock_guard lock(mutex_);
        sent_.push_back(request);
        for (auto at = answers_.begin(); at != answers_.end(); ++at) {
            if (at->first != request.line) continue;
            Answer answer = at->second;
            for (auto later = at + 1; later != answers_.end(); ++later) {
                if (later->first != request.line) continue;
                answers_.erase(at);
                break;
            }
            return answer;
        }
        return {};
    }

    std::mutex mutex_;
    std::vector<std::pair<std::string, Answer>> answers_;
    std::vector<SentRequest> sent_;
    int break_after_body_ = 0;
};

inline FakeTransport::Answer failing(bool temporary) {
    return [temporary](const Request&) -> Response {
        throw TransportError(ErrorCode::unavailable, "the connection was reset", "", temporary);
    };
}

// The code under test with a FakeTransport, tries without waiting between them, and alice logged in to r.example and
// localhost:5000.
class FakeRegistry {
  public:
    FakeRegistry() {
        dir.write("registries.json", R"({"retries": {"attempts": 3, "delay": 0},
            "registries": {"insecure.example": {"insecure": true}}})");
        // printf 'alice:hunter2' | base64
        dir.write("config.json", R"({"auths": {"r.example": {"auth": "YWxpY2U6aHVudGVyMg=="},
            "localhost:5000": {"auth": "YWxpY2U6aHVudGVyMg=="}}})");
        const Environment settings("MKIMG_REGISTRIES", dir.path("registries.json"));
        config = RegistryConfig::load({});
        keychain = std::make_unique<Keychain>(dir.path("config.json"));
    }

    Client& client(const std::string& host = "r.example") {
        auto& one = clients_[host];
        if (!one) one = std::make_unique<Client>(host, ClientServices{transport, config, *keychain, cancel});
        return *one;
    }
    Repository repository(const std::string& name = "app") { return {client(), name}; }

    TempDir dir;
    FakeTransport transport;
    RegistryConfig config;
    std::unique_ptr<Keychain> keychain;
    Cancellation cancel;

  private:
    std::map<std::string, std::unique_ptr<Client>> clients_;
};

}  // namespace mkimg::registry

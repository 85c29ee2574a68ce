// What tests of the transport share: a configuration of their own, and requests in few words.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/stream.h"
#include "registry/curl_transport.h"
#include "tests/unit/registry/environment.h"
#include "tests/unit/registry/http_server.h"
#include "tests/unit/temp_dir.h"

namespace mkimg::registry {

class Collector final : public Receiver {
  public:
    void begin(const Response& head) override {
        ++begun;
        EXPECT_TRUE(text.empty());
        EXPECT_TRUE(head.body.empty());
        status = head.status;
    }
    void write(std::span<const std::byte> bytes) override {
        EXPECT_EQ(begun, 1);
        text += as_text(bytes);
    }
    int begun = 0;
    int status = 0;
    std::string text;
};

class TransportTest : public testing::Test {
  protected:
    TransportTest() : registries_("MKIMG_REGISTRIES", directory_.path("registries.json")) { configure("{}"); }

    void configure(const std::string& json, const RegistryConfig::Options& options = {}) {
        directory_.write("registries.json", json);
        config_ = RegistryConfig::load(options);
        transport_ = std::make_unique<CurlTransport>(config_, cancel_);
    }

    static Request request(const std::string& url, const std::string& method = "GET") {
        Request out;
        out.method = method;
        out.url = Url::parse(url);
        return out;
    }
    static Request upload(const std::string& url, const std::string& method, const std::string& content) {
        Request out = request(url, method);
        struct Shared final : Source {
            explicit Shared(std::shared_ptr<const std::string> from) : text(std::move(from)), source(*text) {}
            std::size_t read(std::span<std::byte> buffer) override { return source.read(buffer); }
            std::shared_ptr<const std::string> text;
            MemorySource source;
        };
        out.body = Body{content.size(), [text = std::make_shared<const std::string>(content)] {
                            return std::make_unique<Shared>(text);
                        }};
        return out;
    }
    Response get(const std::string& url) { return transport_->send(request(url)); }

    TransportError failure(const Request& request, Receiver* receiver = nullptr) {
        try {
            const Response response = transport_->send(request, receiver);
            ADD_FAILURE() << "answered: " << response.status << " " << response.body;
        } catch (const TransportError& e) {
            return e;
        }
        return {ErrorCode::internal, "no failure", "", false};
    }

    TempDir directory_;
    Environment registries_;
    Cancellation cancel_;
    RegistryConfig config_;
    std::unique_ptr<CurlTransport> transport_;
};

}  // namespace mkimg::registry

#include "registry/registry_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "tests/unit/registry/environment.h"
#include "tests/unit/temp_dir.h"

namespace mkimg::registry {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class RegistryConfigTest : public testing::Test {
  protected:
    RegistryConfig parse(const std::string& json, const RegistryConfig::Options& options = {}) {
        directory_.write("registries.json", json);
        const Environment named("MKIMG_REGISTRIES", directory_.path("registries.json"));
        return RegistryConfig::load(options);
    }
    // Message and hint.
    std::string refusal(const std::string& json) {
        try {
            parse(json);
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::usage);
            EXPECT_THAT(e.message(), StartsWith(directory_.path("registries.json")));
            return e.message() + " | " + e.hint();
        }
        ADD_FAILURE() << "accepted: " << json;
        return {};
    }

    TempDir directory_;
    Environment home_{"XDG_CONFIG_HOME", directory_.path("config")};
};

TEST_F(RegistryConfigTest, DefaultsWhereNothingIsSaid) {
    const RegistryConfig config = parse("{}");
    EXPECT_FALSE(config.host("registry.example.com").insecure);
    EXPECT_THAT(config.host("registry.example.com").ca_files, IsEmpty());
    EXPECT_EQ(config.timeouts().connect, milliseconds(15'000));
    EXPECT_EQ(config.timeouts().document, milliseconds(60'000));
    EXPECT_EQ(config.timeouts().stall, milliseconds(30'000));
    EXPECT_EQ(config.retries().attempts, 5U);
}

TEST_F(RegistryConfigTest, EveryField) {
    const RegistryConfig config = parse(R"({
        "registries": {
            "registry.example.com:5000": {
                "insecure": true, "ca": ["/etc/a.crt", "b.crt"],
                "mirrors": ["https://mirror.example.com", "http://10.0.0.1:5000/hub"]
            },
            "[::1]:5000": {"insecure": true}
        },
        "timeouts": {"connect": 2, "document": 0.25, "stall": 90.5},
        "retries": {"attempts": 1, "delay": 0, "most": 1e1}
    })");
    const HostConfig host = config.host("registry.example.com:5000");
    EXPECT_TRUE(host.insecure);
    EXPECT_THAT(host.ca_files, ElementsAre("/etc/a.crt", directory_.path("b.crt")));
    EXPECT_THAT(host.mirrors, ElementsAre("https://mirror.example.com", "http://10.0.0.1:5000/hub"));
    EXPECT_TRUE(config.host("[::1]:5000").insecure);
    EXPECT_EQ(config.timeouts().connect, milliseconds(2000));
    EXPECT_EQ(config.timeouts().document, milliseconds(250));
    EXPECT_EQ(config.timeouts().stall, milliseconds(90'500));
    EXPECT_EQ(config.retries().attempts, 1U);
    EXPECT_EQ(config.retries().delay, milliseconds(0));
    EXPECT_EQ(config.retries().most, milliseconds(10'000));
}

TEST_F(RegistryConfigTest, HostsAreMatchedExactly) {
    const RegistryConfig config =
        parse(R"({"registries": {"example.com": {"insecure": true}, "Other.Example.com:443": {"insecure": true}}})",
              {.insecure = {"localhost:5000"}, .ca_files = {"/all.crt"}});
    EXPECT_TRUE(config.host("example.com").insecure);
    EXPECT_TRUE(config.host("EXAMPLE.com:443").insecure);
    EXPECT_TRUE(config.host("other.example.com").insecure);
    EXPECT_TRUE(config.host("localhost:5000").insecure);
    for (const char* const host : {"example.com:5000", "a.example.com", "example.com.evil.org", "localhost",
                                   "localhost:50001", "xlocalhost:5000"}) {
        EXPECT_FALSE(config.host(host).insecure) << host;
        EXPECT_THAT(config.host(host).ca_files, ElementsAre("/all.crt"));
    }
}

TEST_F(RegistryConfigTest, DockerHubsRealHostsCount) {
    const RegistryConfig config =
        parse(R"({"registries": {"docker.io": {"ca": ["/hub.crt"], "mirrors": ["https://m"]}}})");
    for (const char* const host : {"docker.io", "registry-1.docker.io", "index.docker.io"}) {
        EXPECT_THAT(config.host(host).ca_files, ElementsAre("/hub.crt")) << host;
        EXPECT_THAT(config.host(host).mirrors, ElementsAre("https://m")) << host;
    }
    EXPECT_THAT(config.host("auth.docker.io").ca_files, IsEmpty());
}

TEST_F(RegistryConfigTest, FaultsNameTheFileAndTheField) {
    EXPECT_THAT(refusal("{"), HasSubstr("no valid JSON"));
    EXPECT_THAT(refusal("[]"), HasSubstr("the document must be an object"));
    EXPECT_THAT(refusal(R"({"registrys": {}})"),
                HasSubstr(R"(unknown field "registrys" | did you mean "registries"?)"));
    EXPECT_THAT(refusal(R"({"x": {}})"), HasSubstr("known here: registries, timeouts, retries"));
    EXPECT_THAT(refusal(R"({"registries": {"h": {"insecur": true}}})"),
                HasSubstr(R"(unknown field "registries"."h"."insecur" | did you mean "insecure"?)"));
    EXPECT_THAT(refusal(R"({"registries": {"h": {"insecure": "yes"}}})"),
                HasSubstr(R"("registries"."h"."insecure" must be true or false)"));
    EXPECT_THAT(refusal(R"({"registries": {"h": {"ca": "a.crt"}}})"),
                HasSubstr(R"("registries"."h"."ca" must be a list)"));
    EXPECT_THAT(refusal(R"({"registries": {"h": {"ca": [""]}}})"),
                HasSubstr(R"("registries"."h"."ca" must be a list)"));
    EXPECT_THAT(refusal(R"({"registries": {"h": []}})"), HasSubstr(R"("registries"."h" must be an object)"));
    for (const char* const mirror :
         {"mirror.example.com", "ftp://m", "https://", "https:///x", "https://u:p@m", "https://m?x", "https://m x"}) {
        EXPECT_THAT(refusal(R"({"registries": {"h": {"mirrors": [")" + std::string(mirror) + R"("]}}})"),
                    HasSubstr("must be URLs"));
    }
    for (const char* const host : {"https://h", "h/path", "", "..", "a b", "user@h"}) {
        EXPECT_THAT(refusal(R"({"registries": {")" + std::string(host) + R"(": {}}})"), HasSubstr("names no registry"));
    }
    for (const char* const value : {"0", "-1", "\"5\"", "1e9", "true", "0.0001"}) {
        EXPECT_THAT(refusal(R"({"timeouts": {"connect": )" + std::string(value) + "}}"),
                    HasSubstr(R"("timeouts"."connect" must be a number of seconds from 0.001 to 86400)"));
    }
    for (const char* const value : {"0", "-1", "1.5", "101", "\"5\""}) {
        EXPECT_THAT(refusal(R"({"retries": {"attempts": )" + std::string(value) + "}}"),
                    HasSubstr(R"("retries"."attempts" must be a whole number from 1 to 100)"));
    }
    EXPECT_THAT(refusal(R"({"retries": {"attempt": 1}})"), HasSubstr(R"(did you mean "attempts"?)"));
}

TEST_F(RegistryConfigTest, ANamedFileMustBeThere) {
    const Environment named("MKIMG_REGISTRIES", directory_.path("none.json"));
    try {
        RegistryConfig::load({});
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::not_found);
        EXPECT_THAT(e.message(), HasSubstr("none.json"));
    }
}

TEST_F(RegistryConfigTest, TheUsersFileIsRead) {
    const Environment named("MKIMG_REGISTRIES", "");
    EXPECT_FALSE(RegistryConfig::load({}).host("h").insecure);
    std::filesystem::create_directories(directory_.path("config/mkimg"));
    directory_.write("config/mkimg/registries.json", R"({"registries": {"h": {"insecure": true}}})");
    EXPECT_TRUE(RegistryConfig::load({}).host("h").insecure);
    directory_.write("config/mkimg/registries.json", "x");
    EXPECT_THROW(RegistryConfig::load({}), Error);
}

TEST_F(RegistryConfigTest, TheCommandLineNamesHosts) {
    EXPECT_THAT([&] { parse("{}", {.insecure = {"https://localhost"}, .ca_files = {}}); },
                testing::ThrowsMessage<Error>(HasSubstr("\"https://localhost\" names no registry")));
}

TEST_F(RegistryConfigTest, CertificatesLieWhereDockerHasThem) {
    const std::string certs = directory_.path("config/docker/certs.d/h:5000/");
    std::filesystem::create_directories(certs);
    for (const char* const name :
         {"b.crt", "a.crt", "client.cert", "client.key", "zweit.cert", "zweit.key", "README"}) {
        directory_.write("config/docker/certs.d/h:5000/" + std::string(name), "");
    }
    const RegistryConfig config = parse(R"({"registries": {"h:5000": {"ca": ["/c.crt"]}}})");
    const HostConfig host = config.host("h:5000");
    EXPECT_THAT(host.ca_files, ElementsAre("/c.crt", certs + "a.crt", certs + "b.crt"));
    EXPECT_EQ(host.client_certificate, certs + "client.cert");
    EXPECT_EQ(host.client_key, certs + "client.key");
    EXPECT_THAT(config.host("h").ca_files, IsEmpty());

    std::filesystem::rename(directory_.path("config/docker/certs.d/h:5000"),
                            directory_.path("config/docker/certs.d/h:443"));
    EXPECT_EQ(config.host("h").ca_files.size(), 2U);
    EXPECT_EQ(config.host("h:443").ca_files.size(), 2U);
}

TEST_F(RegistryConfigTest, ACertificateNeedsItsKey) {
    const std::string certs = "config/docker/certs.d/h/";
    std::filesystem::create_directories(directory_.path(certs));
    const RegistryConfig config = parse("{}");
    directory_.write(certs + "me.cert", "");
    EXPECT_THAT([&] { config.host("h"); }, testing::ThrowsMessage<Error>(HasSubstr("me.cert has no me.key beside it")));
    std::filesystem::rename(directory_.path(certs + "me.cert"), directory_.path(certs + "me.key"));
    EXPECT_THAT([&] { config.host("h"); }, testing::ThrowsMessage<Error>(HasSubstr("me.key has no me.cert beside it")));
}

}  // namespace
}  // namespace mkimg::registry

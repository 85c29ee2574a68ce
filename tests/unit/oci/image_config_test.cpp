#include "oci/image_config.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mkimg::oci {
namespace {

const std::string a_digest = "sha256:50644c29ef5a27c9a40c393a73ece2479de78325cae7d762ef3cdc19bf42dd0a";
const std::string b_digest = "sha256:9c572ba82b91e3ac35c7351bdacc6876c67f5d9bc69c5e51e8b2deeafae95e4f";

std::string message_of(const std::string& json) {
    try {
        ImageConfig::parse(json);
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::corrupt);
        return e.what();
    }
    ADD_FAILURE() << json << " was taken";
    return {};
}

// After the example of image-spec, config.md.
TEST(ImageConfig, ReadsTheSpecificationsExample) {
    const ImageConfig config = ImageConfig::parse(R"({
    "created": "2015-10-31T22:22:56.015925234Z", "author": "Alyssa P. Hacker <alyspdev@example.com>",
    "architecture": "arm64", "os": "linux", "variant": "v8", "os.version": "ignored",
    "config": {
        "User": "alice", "ExposedPorts": {"8080/tcp": {}, "53/udp": {}},
        "Env": ["PATH=/usr/local/sbin:/usr/bin", "FOO=oci_is_a", "BAR=well_written_spec"],
        "Entrypoint": ["/bin/my-app-binary"], "Cmd": ["--foreground", "--config", "/etc/my-app.d/default.cfg"],
        "Volumes": {"/var/job-result-data": {}, "/var/log/my-app-logs": {}}, "WorkingDir": "/home/alice",
        "Labels": {"com.example.project.git.url": "https://example.com/project.git"}, "StopSignal": "SIGKILL",
        "ArgsEscaped": true,
        "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 30000000000, "StartInterval": 5, "Retries": 3},
        "Shell": ["/bin/bash", "-c"], "OnBuild": ["RUN true"]
    },
    "rootfs": {"diff_ids": [")" + a_digest + R"(", ")" +
                                                  b_digest + R"("], "type": "layers"},
    "history": [{"created": "2015-10-31T22:22:54.690851953Z", "created_by": "/bin/sh -c #(nop) ADD file"},
                {"created_by": "CMD", "comment": "c", "author": "a", "empty_layer": true}]})");
    EXPECT_EQ(config.created, 1446330176);
    EXPECT_EQ(config.platform.str(), "linux/arm64/v8");
    EXPECT_EQ(config.user, "alice");
    EXPECT_EQ(config.exposed_ports, (std::vector<std::string>{"53/udp", "8080/tcp"}));
    EXPECT_EQ(config.env_value("FOO"), "oci_is_a");
    EXPECT_EQ(config.env_value("FO"), std::nullopt);
    EXPECT_EQ(config.entrypoint, (std::vector<std::string>{"/bin/my-app-binary"}));
    EXPECT_EQ(config.cmd->size(), 3U);
    EXPECT_EQ(config.volumes.size(), 2U);
    EXPECT_EQ(config.working_dir, "/home/alice");
    EXPECT_EQ(config.labels.at("com.example.project.git.url"), "https://example.com/project.git");
    EXPECT_EQ(config.stop_signal, "SIGKILL");
    EXPECT_EQ(config.healthcheck, (Healthcheck{{"CMD-SHELL", "true"}, 30000000000, 0, 0, 5, 3}));
    EXPECT_EQ(config.shell, (std::vector<std::string>{"/bin/bash", "-c"}));
    EXPECT_EQ(config.on_build, (std::vector<std::string>{"RUN true"}));
    ASSERT_EQ(config.diff_ids.size(), 2U);
    EXPECT_EQ(config.diff_ids[1].str(), b_digest);
    ASSERT_EQ(config.history.size(), 2U);
    EXPECT_EQ(config.history[0].created, 1446330174);
    EXPECT_TRUE(config.history[1].empty_layer);
    EXPECT_EQ(config.history[1].author, "a");
}

TEST(ImageConfig, ReadsWhatDockerReallyWrites) {
    const ImageConfig config = ImageConfig::parse(
        R"({"architecture":"amd64","os":"linux","created":"0001-01-01T00:00:00Z","container":"abc","config":{"Hostname":"",
        "ExposedPorts":null,"Env":null,"Cmd":null,"Volumes":null,"Labels":null,"Entrypoint":null,"OnBuild":null,"Image":"",
        "Healthcheck":null},"rootfs":{"type":"layers","diff_ids":null},"history":null})");
    EXPECT_EQ(config.created, -62135596800);
    EXPECT_FALSE(config.cmd);
    EXPECT_FALSE(config.entrypoint);
    EXPECT_FALSE(config.healthcheck);
    EXPECT_TRUE(config.env.empty());
    EXPECT_EQ(ImageConfig::parse(R"({"config":{"Entrypoint":"/init"}})").entrypoint,
              (std::vector<std::string>{"/init"}));
    EXPECT_EQ(ImageConfig::parse(R"({"config":null,"created":""})").created, std::nullopt);
    EXPECT_EQ(ImageConfig::parse("{}").platform.os, "linux");
}

TEST(ImageConfig, NotSetAndEmptyDiffer) {
    const ImageConfig config = ImageConfig::parse(R"({"config":{"Cmd":[]}})");
    ASSERT_TRUE(config.cmd);
    EXPECT_TRUE(config.cmd->empty());
    EXPECT_FALSE(config.entrypoint);
    EXPECT_NE(config.to_json().find(R"("config":{"Cmd":[]})"), std::string::npos) << config.to_json();
    EXPECT_FALSE(ImageConfig::parse(ImageConfig().to_json()).cmd);
}

TEST(ImageConfig, WritesCanonicalJson) {
    ImageConfig config;
    config.platform = Platform::parse("linux/arm/v6");
    config.created = 1704164645;
    config.author = "me";
    config.user = "app";
    config.set_env("B", "1");
    config.set_env("A", "x=y \"q\"");
    config.set_env("B", "2");
    config.cmd = {"/bin/sh"};
    config.labels = {{"z", "1"}, {"a", "2"}};
    config.exposed_ports = {"53/udp", "80/tcp"};
    config.diff_ids = {DiffId::parse(a_digest).value()};
    config.history = {{1704164645, "COPY . .", "", "", false}, {std::nullopt, "CMD", "", "", true}};
    EXPECT_EQ(
        config.to_json(),
        R"({"architecture":"arm","author":"me","config":{"Cmd":["/bin/sh"],"Env":["B=2","A=x=y \"q\""],)"
        R"("ExposedPorts":{"53/udp":{},"80/tcp":{}},"Labels":{"a":"2","z":"1"},"User":"app"},)"
        R"("created":"2024-01-02T03:04:05Z","history":[{"created":"2024-01-02T03:04:05Z","created_by":"COPY . ."},)"
        R"({"created_by":"CMD","empty_layer":true}],"os":"linux","rootfs":{"diff_ids":[")" +
            a_digest + R"("],"type":"layers"},"variant":"v6"})");
}

TEST(ImageConfig, WritingAndReadingGiveTheSame) {
    const std::string json =
        R"({"architecture":"amd64","config":{"Entrypoint":[],"Healthcheck":{"Interval":1,"Retries":2,"StartInterval":3,)"
        R"("StartPeriod":4,"Test":["NONE"],"Timeout":5},"OnBuild":["RUN a"],"Shell":["s"],"StopSignal":"9","Volumes":{"/v":{}},)"
        R"("WorkingDir":"/w"},"os":"windows","rootfs":{"diff_ids":[],"type":"layers"}})";
    EXPECT_EQ(ImageConfig::parse(json).to_json(), json);
}

TEST(ImageConfig, BytesThatAreNoUtf8AreReplaced) {
    ImageConfig config;
    config.set_env("NAME", "a\xFFz");
    config.labels["\xC0"] = "\xED\xA0\x80";
    config.history.push_back({std::nullopt, "RUN \x80", "", "", false});
    const ImageConfig back = ImageConfig::parse(config.to_json());
    EXPECT_EQ(back.env_value("NAME"), "a\xEF\xBF\xBDz");
}

TEST(ImageConfig, RefusesWhatHasTheWrongShape) {
    EXPECT_NE(message_of(R"({"config":{"Env":{"A":"1"}}})").find("\"Env\""), std::string::npos);
    EXPECT_NE(message_of(R"({"config":{"Env":["A=1",2]}})").find("\"Env\""), std::string::npos);
    EXPECT_NE(message_of(R"({"config":{"Healthcheck":{"Interval":1.5}}})").find("\"Interval\""), std::string::npos);
    for (const char* bad : {"",
                            "[]",
                            "null",
                            "\"x\"",
                            "1",
                            "{",
                            "{\"a\":}",
                            "{} {}",
                            R"({"os":1})",
                            R"({"config":[]})",
                            R"({"config":{"Env":"A=1"}})",
                            R"({"config":{"Labels":{"a":1}}})",
                            R"({"config":{"ExposedPorts":["80"]}})",
                            R"({"config":{"User":["x"]}})",
                            R"({"config":{"Cmd":[null]}})",
                            R"({"config":{"Healthcheck":{"Retries":18446744073709551615}}})",
                            R"({"created":"yesterday"})",
                            R"({"created":5})",
                            R"({"rootfs":{"type":"other","diff_ids":[]}})",
                            R"({"rootfs":{}})",
                            R"({"rootfs":{"type":"layers","diff_ids":["sha256:../../x"]}})",
                            R"({"rootfs":{"type":"layers","diff_ids":[1]}})",
                            R"({"rootfs":{"type":"layers","diff_ids":"x"}})",
                            R"({"history":{}})",
                            R"({"history":[1]})",
                            R"({"history":[null]})",
                            R"({"history":[{"empty_layer":"yes"}]})",
                            "{\"author\":\"\xFF\"}"}) {
        message_of(bad);
    }
}

TEST(ImageConfig, LimitsSizeDepthAndLayers) {
    const auto deep = [](std::size_t levels) {
        return "{\"x\":" + std::string(levels, '[') + std::string(levels, ']') + "}";
    };
    EXPECT_NO_THROW(ImageConfig::parse(deep(60)));
    EXPECT_NE(message_of(deep(64)).find("deep"), std::string::npos);
    message_of(deep(1000000));
    EXPECT_NO_THROW(ImageConfig::parse("{\"x\":\"" + std::string(1000, '[') + "\\\"" + std::string(1000, '{') + "\"}"));
    EXPECT_NE(message_of("{\"x\":\"" + std::string(9U << 20U, 'a') + "\"}").find("larger"), std::string::npos);
    const auto layers = [](int count) {
        std::string json = R"({"rootfs":{"type":"layers","diff_ids":[)";
        for (int i = 0; i < count; ++i) json += (i == 0 ? "\"" : ",\"") + a_digest + "\"";
        return json + "]}}";
    };
    EXPECT_EQ(ImageConfig::parse(layers(4096)).diff_ids.size(), 4096U);
    message_of(layers(4097));
}

TEST(ImageConfig, SetEnvKeepsTheOrderOfFirstSetting) {
    ImageConfig config;
    config.env = {"A=1", "AB=2", "C"};
    config.set_env("A", "3");
    config.set_env("D", "");
    EXPECT_EQ(config.env, (std::vector<std::string>{"A=3", "AB=2", "C", "D="}));
    EXPECT_EQ(config.env_value("D"), "");
    EXPECT_EQ(config.env_value("C"), std::nullopt);
}

}  // namespace
}  // namespace mkimg::oci

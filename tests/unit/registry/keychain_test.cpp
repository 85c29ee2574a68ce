#include "registry/keychain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "registry/auth_file.h"
#include "tests/unit/registry/fake_helpers.h"

namespace mkimg::registry {
namespace {

using testing::HasSubstr;
using testing::Not;

// Of the password below: printf 'alice:hunter2' | base64
constexpr std::string_view alice = "YWxpY2U6aHVudGVyMg==";

class KeychainTest : public testing::Test {
  protected:
    Keychain keychain() const { return Keychain(dir.path("config.json")); }
    void file(std::string_view text) const { dir.write("config.json", text, 0600); }
    nlohmann::json file() const { return nlohmann::json::parse(dir.read("config.json")); }
    std::string user(std::string_view host, std::string_view repository = {}) const {
        const auto found = keychain().find(host, repository);
        return found ? found->username : "-";
    }
    Error failure(std::string_view host) const {
        try {
            keychain().find(host);
        } catch (const Error& error) {
            return error;
        }
        ADD_FAILURE() << "no Error";
        return {ErrorCode::internal, ""};
    }

    TempDir dir;
};

TEST_F(KeychainTest, AMissingFileHoldsNothing) {
    EXPECT_EQ(keychain().find("docker.io"), std::nullopt);
    EXPECT_FALSE(keychain().erase("docker.io"));
    EXPECT_EQ(::access(dir.path("config.json").c_str(), F_OK), -1);
    EXPECT_EQ(Keychain(dir.path("config.json/below")).find("docker.io"), std::nullopt);
    file("");
    EXPECT_EQ(keychain().find("docker.io"), std::nullopt);
    file("{}");
    EXPECT_EQ(keychain().find("docker.io"), std::nullopt);
    file(R"({"auths": null, "credHelpers": null, "credsStore": null})");
    EXPECT_EQ(keychain().find("docker.io"), std::nullopt);
}

TEST_F(KeychainTest, TheFieldsOfAnEntry) {
    // printf ':x:y' | base64, printf 'bob:' | base64, printf '00000000-0000-0000-0000-000000000000:' | base64
    file(R"({"auths": {
        "a.example": {"auth": "YWxpY2U6aHVudGVyMg=="},
        "colons.example": {"auth": "Ong6eQ=="},
        "empty.example": {"auth": "Ym9iOg=="},
        "plain.example": {"username": "carol", "password": "p:w"},
        "both.example": {"auth": "YWxpY2U6aHVudGVyMg==", "username": "carol", "password": "other"},
        "identity.example": {"auth": "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==", "identitytoken": "refresh"},
        "registry.example": {"registrytoken": "bearer"},
        "marker.example": {}, "blank.example": {"auth": ""}
    }})");
    const auto get = [&](const char* host) { return keychain().find(host).value_or(Credential{"-", "-", "-", "-"}); };
    EXPECT_EQ(get("a.example").username, "alice");
    EXPECT_EQ(get("a.example").password, "hunter2");
    EXPECT_EQ(get("colons.example").username, "");
    EXPECT_EQ(get("colons.example").password, "x:y");
    EXPECT_EQ(get("empty.example").username, "bob");
    EXPECT_EQ(get("empty.example").password, "");
    EXPECT_EQ(get("plain.example").username, "carol");
    EXPECT_EQ(get("plain.example").password, "p:w");
    EXPECT_EQ(get("both.example").username, "alice");
    EXPECT_EQ(get("both.example").password, "hunter2");
    EXPECT_EQ(get("identity.example").identity_token, "refresh");
    EXPECT_EQ(get("registry.example").registry_token, "bearer");
    EXPECT_EQ(get("marker.example").username, "-");
    EXPECT_EQ(get("blank.example").username, "-");
}

TEST_F(KeychainTest, KeysOfDockerHub) {
    for (const char* key : {"https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io", "docker.io",
                            "https://index.docker.io/v2/", "https://registry-1.docker.io"}) {
        file(R"({"auths": {")" + std::string(key) + R"(": {"username": "alice"}}})");
        EXPECT_EQ(user("docker.io"), "alice") << key;
        EXPECT_EQ(user("docker.io", "library/debian"), "alice") << key;
        EXPECT_EQ(user("example.docker.io"), "-") << key;
    }
}

TEST_F(KeychainTest, KeysOfOtherRegistries) {
    for (const char* key : {"r.example:5000", "https://r.example:5000", "http://r.example:5000/v2/",
                            "https://r.example:5000/v1/", "https://r.example:5000/v1"}) {
        file(R"({"auths": {")" + std::string(key) + R"(": {"username": "alice"}}})");
        EXPECT_EQ(user("r.example:5000"), "alice") << key;
        EXPECT_EQ(user("r.example:5000", "v1/app"), "alice") << key;
        for (const char* other : {"r.example", "r.example:5001", "r.example:50000", "r.example:500", "xr.example:5000",
                                  "r.example.evil.example", "docker.io", "example:5000", ""}) {
            EXPECT_EQ(user(other), "-") << key << ", " << other;
        }
    }
}

TEST_F(KeychainTest, TheEntryOfTheLongestPath) {
    file(R"({"auths": {
        "r.example": {"username": "everybody"},
        "r.example/team": {"username": "team"},
        "r.example/team/app": {"username": "app"},
        "r.example/marker": {},
        "docker.io/alice": {"username": "hub"},
        "other.example/team": {"username": "other"}
    }})");
    EXPECT_EQ(user("r.example"), "everybody");
    EXPECT_EQ(user("r.example", "x"), "everybody");
    EXPECT_EQ(user("r.example", "team"), "team");
    EXPECT_EQ(user("r.example", "team/x/y"), "team");
    EXPECT_EQ(user("r.example", "teams"), "everybody");
    EXPECT_EQ(user("r.example", "team/app"), "app");
    EXPECT_EQ(user("r.example", "team/app/x"), "app");
    EXPECT_EQ(user("r.example", "team/app2"), "team");
    EXPECT_EQ(user("r.example", "marker/x"), "everybody");
    EXPECT_EQ(user("docker.io", "alice/x"), "hub");
    EXPECT_EQ(user("docker.io", "library/debian"), "-");
    EXPECT_EQ(user("other.example"), "-");
}

TEST_F(KeychainTest, WhatDockerWroteIsPreferred) {
    file(R"({"auths": {
        "docker.io": {"username": "old"}, "https://index.docker.io/v1/": {"username": "new"},
        "https://r.example": {"username": "old"}, "r.example": {"username": "new"},
        "https://s.example": {"username": "old"}, "s.example": {}
    }})");
    EXPECT_EQ(user("docker.io"), "new");
    EXPECT_EQ(user("r.example"), "new");
    EXPECT_EQ(user("s.example"), "old");
}

TEST_F(KeychainTest, TheOrderOfHelpersAndFile) {
    const FakeHelpers helpers;
    helpers.add("own", R"(case $input in r.example) echo '{"Username":"own","Secret":"x"}';;
*) echo 'credentials not found in native keychain'; exit 1;; esac)");
    helpers.add("common", R"(echo '{"Username":"common","Secret":"x"}')");
    file(R"({"auths": {"r.example": {"username": "file"}, "s.example": {"username": "file"}, "t.example": {}},
             "credHelpers": {"r.example": "own", "s.example": "own", "u.example": "own", "v.example": ""},
             "credsStore": "common"})");
    EXPECT_EQ(user("r.example", "team/app"), "own");
    EXPECT_EQ(user("s.example"), "file");
    EXPECT_EQ(user("t.example"), "common");
    EXPECT_EQ(user("v.example"), "-") << "an empty name: the file alone";
    EXPECT_EQ(user("docker.io", "library/debian"), "common");
    EXPECT_EQ(helpers.log("own"), "get r.example\nget s.example\n");
    EXPECT_EQ(helpers.log("common"), "get t.example\nget https://index.docker.io/v1/\n");
}

TEST_F(KeychainTest, AHelperOfDockerHubByAnyOfItsNames) {
    const FakeHelpers helpers;
    helpers.add("own", R"(echo '{"Username":"own","Secret":"x"}')");
    for (const char* key : {"docker.io", "index.docker.io", "https://index.docker.io/v1/"}) {
        file(R"({"credHelpers": {")" + std::string(key) + R"(": "own"}})");
        EXPECT_EQ(user("docker.io"), "own") << key;
    }
}

TEST_F(KeychainTest, HelpersThatFailAreErrors) {
    file(R"({"credHelpers": {"a.example": "../../bin/sh", "b.example": "no-such-helper"}})");
    EXPECT_EQ(failure("a.example").code(), ErrorCode::usage);
    EXPECT_EQ(failure("b.example").code(), ErrorCode::host);
    EXPECT_EQ(keychain().find("c.example"), std::nullopt);
}

TEST_F(KeychainTest, BrokenFilesAreNamedAndNotShown) {
    for (const char* text : {
             R"({"auths": {"r.example": {"auth": "hunter2)",
             R"({"auths": {"r.example": {"auth": hunter2}}})",
             R"({"auths": {"r.example": {"auth": "hunter2!"}}})",
             R"({"auths": {"r.example": {"auth": "aHVudGVyMg=="}}})",  // no colon
             R"({"auths": {"r.example": {"auth": ["hunter2"]}}})",
             R"({"auths": {"r.example": "hunter2"}})",
             R"({"auths": "hunter2"})",
             R"({"auths": {"r.example": {"password": {"hunter2": 1}}}})",
             R"({"credHelpers": "hunter2"})",
             R"({"credHelpers": {"r.example": ["hunter2"]}})",
             R"({"credsStore": ["hunter2"]})",
             R"(["hunter2"])",
             R"("hunter2")",
             "hunter2",
             "{\"auths\": {}, \"hunter2\": 1e999}",
             "{\"auths\": {}, \"hunter2\": \"\xff\"}",
         }) {
        file(text);
        const Error error = failure("r.example");
        EXPECT_EQ(error.code(), ErrorCode::usage) << text;
        EXPECT_THAT(error.message(), HasSubstr(dir.path("config.json"))) << text;
        EXPECT_THAT(render(error), Not(HasSubstr("hunter2"))) << text;
        EXPECT_THAT(render(error), Not(HasSubstr("aHVudGVyMg"))) << text;
    }
    file("{\n\n  \"auths\": oops\n}");
    EXPECT_THAT(failure("r.example").message(), HasSubstr("line 3"));
    // One broken entry is no reason to fail for another registry.
    file(R"({"auths": {"r.example": {"auth": "x"}, "s.example": {"username": "bob"}}})");
    EXPECT_EQ(user("s.example"), "bob");
}

TEST_F(KeychainTest, StoresAsDockerDoes) {
    EXPECT_EQ(keychain().store("r.example:5000", {.username = "alice", .password = "hunter2"}),
              dir.path("config.json") + " (not encrypted: consider a credential helper)");
    keychain().store("docker.io", {.username = "bob", .identity_token = "refresh"});
    const auto written = file();
    EXPECT_EQ(written["auths"]["r.example:5000"], nlohmann::json({{"auth", alice}}));
    EXPECT_EQ(written["auths"]["https://index.docker.io/v1/"],
              nlohmann::json({{"auth", "Ym9iOg=="}, {"identitytoken", "refresh"}}));
    EXPECT_EQ(user("r.example:5000"), "alice");
    EXPECT_EQ(keychain().find("docker.io")->identity_token, "refresh");
}

TEST_F(KeychainTest, KeepsEverythingElseInTheFile) {
    file(R"({"HttpHeaders": {"X": "y"}, "auths": {"z.example": {"auth": "Ym9iOg=="}, "r.example": {"email": "a@b",
             "auth": "Ym9iOg==", "identitytoken": "old"}}, "detachKeys": "ctrl-e,e", "number": 18446744073709551615})");
    keychain().store("r.example", {.username = "alice", .password = "hunter2"});
    auto expected = nlohmann::json::parse(
        R"({"HttpHeaders": {"X": "y"}, "auths": {"z.example": {"auth": "Ym9iOg=="}, "r.example": {"email": "a@b"}},
            "detachKeys": "ctrl-e,e", "number": 18446744073709551615})");
    expected["auths"]["r.example"]["auth"] = alice;
    EXPECT_EQ(file(), expected);
    const std::string text = dir.read("config.json");
    EXPECT_LT(text.find("HttpHeaders"), text.find("auths"));
    EXPECT_LT(text.find("z.example"), text.find("r.example"));

    EXPECT_TRUE(keychain().erase("r.example"));
    expected["auths"].erase("r.example");
    EXPECT_EQ(file(), expected);
    EXPECT_FALSE(keychain().erase("r.example"));
}

TEST_F(KeychainTest, FileAndDirectoryAreTheOwnersAlone) {
    const Keychain deep(dir.path("home/.docker/config.json"));
    deep.store("r.example", {.username = "alice", .password = "hunter2"});
    const auto mode = [&](const char* name) {
        struct stat st {};
        EXPECT_EQ(::stat(dir.path(name).c_str(), &st), 0) << name;
        return st.st_mode & 07777U;
    };
    EXPECT_EQ(mode("home/.docker/config.json"), 0600U);
    EXPECT_EQ(mode("home/.docker"), 0700U);
    EXPECT_EQ(mode("home"), 0700U);
    dir.write("config.json", "{}", 0644);
    keychain().store("r.example", {.username = "alice", .password = "hunter2"});
    EXPECT_EQ(mode("config.json"), 0600U);
}

TEST_F(KeychainTest, ALinkStaysALink) {
    ASSERT_EQ(::mkdir(dir.path("dotfiles").c_str(), 0755), 0);
    dir.write("dotfiles/real.json", R"({"x": 1})");
    ASSERT_EQ(::symlink("dotfiles/second", dir.path("config.json").c_str()), 0);
    ASSERT_EQ(::symlink("real.json", dir.path("dotfiles/second").c_str()), 0);
    keychain().store("r.example", {.username = "alice", .password = "hunter2"});
    struct stat st {};
    ASSERT_EQ(::lstat(dir.path("config.json").c_str(), &st), 0);
    EXPECT_TRUE(S_ISLNK(st.st_mode));
    ASSERT_EQ(::lstat(dir.path("dotfiles/second").c_str(), &st), 0);
    EXPECT_TRUE(S_ISLNK(st.st_mode));
    EXPECT_THAT(dir.read("dotfiles/real.json"), HasSubstr(alice));
    EXPECT_EQ(file()["x"], 1);

    ASSERT_EQ(::symlink(dir.path("new/target.json").c_str(), dir.path("dangling.json").c_str()), 0);
    Keychain(dir.path("dangling.json")).store("r.example", {.username = "alice", .password = "hunter2"});
    EXPECT_THAT(dir.read("new/target.json"), HasSubstr(alice));

    ASSERT_EQ(::symlink("loop.json", dir.path("loop.json").c_str()), 0);
    EXPECT_THROW(Keychain(dir.path("loop.json")).store("r.example", {}), Error);
}

TEST_F(KeychainTest, TheFileStaysItsOwners) {
    ASSERT_EQ(::geteuid(), 0U) << "needs root";
    file("{}");
    ASSERT_EQ(::chown(dir.path("config.json").c_str(), 1234, 2345), 0);
    keychain().store("r.example", {.username = "alice", .password = "hunter2"});
    struct stat st {};
    ASSERT_EQ(::stat(dir.path("config.json").c_str(), &st), 0);
    EXPECT_EQ(st.st_uid, 1234U);
    EXPECT_EQ(st.st_gid, 2345U);
}

TEST_F(KeychainTest, StoresInAHelper) {
    const FakeHelpers helpers;
    helpers.add("own", R"(test $1 != get || echo '{"Username":"alice","Secret":"x"}')");
    file(R"({"auths": {"docker.io": {"auth": "Ym9iOg=="}, "docker.io/team": {"username": "team"}},
             "credsStore": "own"})");
    EXPECT_EQ(keychain().store("docker.io", {.username = "alice", .password = "hunter2"}), "docker-credential-own");
    EXPECT_EQ(helpers.log("own"),
              R"(store {"Secret":"hunter2","ServerURL":"https://index.docker.io/v1/","Username":"alice"})"
              "\n");
    // An old entry of the file would be found before the new one of the helper.
    EXPECT_EQ(file()["auths"], nlohmann::json({{"docker.io/team", {{"username", "team"}}}}));
    EXPECT_EQ(user("docker.io"), "alice");
    EXPECT_TRUE(keychain().erase("docker.io"));
    EXPECT_THAT(helpers.log("own"), testing::EndsWith("erase https://index.docker.io/v1/\n"));
}

TEST_F(KeychainTest, AnEmptyHelperNameMeansTheFile) {
    file(R"({"credsStore": "no-such-helper", "credHelpers": {"r.example": ""}})");
    keychain().store("r.example", {.username = "alice", .password = "hunter2"});
    EXPECT_EQ(user("r.example"), "alice");
}

TEST_F(KeychainTest, ErasesAllThatMeansTheRegistry) {
    file(R"({"auths": {"docker.io": {"username": "a"}, "https://index.docker.io/v1/": {"username": "b"},
             "docker.io/team": {"username": "team"}, "r.example": {"username": "r"}}})");
    EXPECT_TRUE(keychain().erase("docker.io"));
    EXPECT_EQ(user("docker.io"), "-");
    EXPECT_EQ(user("docker.io", "team/x"), "team");
    EXPECT_EQ(user("r.example"), "r");
}

TEST_F(KeychainTest, WhatIsHeldComesBeforeTheFile) {
    file(R"({"auths": {"r.example": {"username": "file"}, "s.example": {"username": "file"}}})");
    Keychain keychain = this->keychain();
    keychain.hold("r.example", {.username = "held", .password = "x"});
    EXPECT_EQ(keychain.find("r.example", "a/b")->username, "held");
    EXPECT_EQ(keychain.find("s.example")->username, "file");
    EXPECT_EQ(user("r.example"), "file");
}

TEST(HostOf, AsReferencesNameIt) {
    for (const auto& [text, host] : std::initializer_list<std::pair<const char*, const char*>>{
             {"docker.io", "docker.io"},
             {"index.docker.io", "docker.io"},
             {"https://index.docker.io/v1/", "docker.io"},
             {"registry-1.docker.io", "docker.io"},
             {"ghcr.io", "ghcr.io"},
             {"https://ghcr.io", "ghcr.io"},
             {"http://localhost:5000/v2/", "localhost:5000"},
             {"localhost", "localhost"},
             {"[::1]:5000", "[::1]:5000"},
         }) {
        EXPECT_EQ(Keychain::host_of(text), host) << text;
    }
    for (const char* text : {"", "https://", "ghcr.io/user", "user", "my_host.example", "a.example:x", "u:p@a.example",
                             "a.example\n", "-a.example", "ftp://a.example"}) {
        EXPECT_THROW(Keychain::host_of(text), Error) << text;
    }
}

class DefaultPath : public testing::Test {
  protected:
    void SetUp() override {
        for (const char* name : names) {
            const char* const value = ::getenv(name);
            before.emplace_back(value == nullptr ? std::nullopt : std::optional<std::string>(value));
            ::unsetenv(name);
        }
    }
    void TearDown() override {
        for (std::size_t i = 0; i < before.size(); ++i) {
            before[i] ? ::setenv(names[i], before[i]->c_str(), 1) : ::unsetenv(names[i]);
        }
    }

    static constexpr const char* names[] = {"REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "HOME"};
    std::vector<std::optional<std::string>> before;
};

TEST_F(DefaultPath, FromTheEnvironment) {
    EXPECT_THAT(Keychain::default_path(), testing::EndsWith("/.docker/config.json"));
    ::setenv("HOME", "/home/alice", 1);
    EXPECT_EQ(Keychain::default_path(), "/home/alice/.docker/config.json");
    ::setenv("DOCKER_CONFIG", "/etc/docker-config", 1);
    EXPECT_EQ(Keychain::default_path(), "/etc/docker-config/config.json");
    ::setenv("REGISTRY_AUTH_FILE", "/run/auth.json", 1);
    EXPECT_EQ(Keychain::default_path(), "/run/auth.json");
    ::setenv("REGISTRY_AUTH_FILE", "", 1);
    ::setenv("DOCKER_CONFIG", "", 1);
    EXPECT_EQ(Keychain::default_path(), "/home/alice/.docker/config.json");
}

}  // namespace
}  // namespace mkimg::registry

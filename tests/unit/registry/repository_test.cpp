#include "registry/repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/registry/fake_transport.h"

namespace mkimg::registry {
namespace {

using testing::HasSubstr;

const std::string manifest_text =
    R"({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": {}, "layers": []})";
const std::string index_text =
    R"({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []})";
constexpr const char* latest = "GET https://r.example/v2/app/manifests/latest";

Response document(const std::string& text, const std::string& type, const std::string& digest = {}) {
    Response response{.status = 200, .headers = {{"content-type", type}}, .body = text};
    if (!digest.empty()) response.headers.emplace_back("docker-content-digest", digest);
    return response;
}

class RepositoryTest : public testing::Test {
  protected:
    Error failure(const Response& answer, const std::string& reference = "latest") {
        FakeRegistry one;
        one.transport.on("GET https://r.example/v2/app/manifests/" + reference, answer);
        try {
            one.repository().get_manifest(reference);
        } catch (const Error& error) {
            return error;
        }
        throw std::logic_error("nothing failed");
    }

    FakeRegistry registry;
    FakeTransport& transport = registry.transport;
    const std::string oci = std::string(oci::media_type::oci_manifest);
    const std::string oci_index = std::string(oci::media_type::oci_index);
};

TEST_F(RepositoryTest, AManifestByItsTag) {
    const std::string digest = oci::digest_of(manifest_text).str();
    transport.on(latest, document(manifest_text, oci + "; charset=utf-8", digest));
    const auto found = registry.repository().get_manifest("latest");
    EXPECT_EQ(found.bytes, manifest_text);
    EXPECT_EQ(found.media_type, oci);
    EXPECT_EQ(found.digest.str(), digest);
    EXPECT_FALSE(found.is_index());
    const std::string accept = transport.sent().back().header("accept");
    for (const char* type : {"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
                             "application/vnd.docker.distribution.manifest.v2+json",
                             "application/vnd.docker.distribution.manifest.list.v2+json"}) {
        EXPECT_THAT(accept, HasSubstr(type));
    }
}

TEST_F(RepositoryTest, WhatComesForADigestHasIt) {
    const std::string other = oci::digest_of("other").str();
    EXPECT_EQ(failure(document(manifest_text, oci, other), other).code(), ErrorCode::corrupt);
    EXPECT_EQ(failure(document(manifest_text, oci), other).code(), ErrorCode::corrupt);
    EXPECT_EQ(failure(document(manifest_text, oci, other)).code(), ErrorCode::corrupt);  // by tag
}

TEST_F(RepositoryTest, TypeFieldAndFieldsSayTheSame) {
    EXPECT_EQ(failure(document(index_text, oci)).code(), ErrorCode::corrupt);
    EXPECT_EQ(failure(document(manifest_text, oci_index)).code(), ErrorCode::corrupt);
    EXPECT_EQ(failure(document(R"({"schemaVersion": 2, "manifests": []})", oci)).code(), ErrorCode::corrupt);
    EXPECT_EQ(failure(document("[]", oci)).code(), ErrorCode::corrupt);
}

TEST_F(RepositoryTest, OtherTypesAreRefusedByName) {
    const Error schema1 = failure(document("{}", "application/vnd.docker.distribution.manifest.v1+prettyjws"));
    EXPECT_EQ(schema1.code(), ErrorCode::unsupported);
    EXPECT_THAT(schema1.message(), HasSubstr("schema 1"));
    EXPECT_THAT(failure(document(R"({"schemaVersion": 1})", oci)).message(), HasSubstr("schema 1"));
    EXPECT_THAT(failure(document("<html>", "text/html")).message(), HasSubstr("text/html"));
    EXPECT_THAT(failure({.status = 200, .body = manifest_text}).message(), HasSubstr("missing"));
}

TEST_F(RepositoryTest, WhatAnIndexNamesIsWhatItSays) {
    const oci::Digest digest = oci::digest_of(manifest_text);
    transport.on("GET https://r.example/v2/app/manifests/" + digest.str(), document(manifest_text, oci));
    const std::vector<Repository> sources{registry.repository()};
    EXPECT_EQ(get_manifest(sources, oci::Descriptor{oci, digest, manifest_text.size(), {}, {}}).digest, digest);
    EXPECT_THROW(get_manifest(sources, oci::Descriptor{oci, digest, manifest_text.size() + 1, {}, {}}), Error);
    EXPECT_THROW(get_manifest(sources, oci::Descriptor{oci_index, digest, manifest_text.size(), {}, {}}), Error);
}

TEST_F(RepositoryTest, TheNextSourceIsAskedWhereOneHasNothing) {
    FakeRegistry mirror;  // answers 404
    transport.on(latest, document(manifest_text, oci));
    const std::vector<Repository> sources{mirror.repository(), registry.repository()};
    EXPECT_EQ(get_manifest(sources, "latest").bytes, manifest_text);
}

TEST_F(RepositoryTest, AHeadTellsTheDigestOrNothing) {
    const char* head = "HEAD https://r.example/v2/app/manifests/latest";
    const oci::Digest digest = oci::digest_of(manifest_text);
    transport.on(head, {.status = 404})
        .on(head, {.status = 405})
        .on(head, {.status = 200})
        .on(head, {.status = 200, .headers = {{"docker-content-digest", "sha256:../.."}}})
        .on(head, {.status = 200, .headers = {{"docker-content-digest", digest.str()}}});
    for (int i = 0; i < 4; ++i) EXPECT_EQ(registry.repository().find_manifest("latest"), std::nullopt) << i;
    EXPECT_EQ(registry.repository().find_manifest("latest"), digest);
}

TEST_F(RepositoryTest, ASmallBlobIsChecked) {
    const oci::Digest digest = oci::digest_of("config");
    const std::string line = "GET https://r.example/v2/app/blobs/" + digest.str();
    const auto get = [&](std::uint64_t size) { return registry.repository().get_blob({"t", digest, size, {}, {}}); };
    transport.on(line, {.status = 200, .body = "config"}).on(line, {.status = 200, .body = "Config"});
    EXPECT_EQ(get(6), "config");
    EXPECT_THROW(get(6), Error);
    EXPECT_THROW(get(100U << 20U), Error);  // not even asked for
    EXPECT_EQ(transport.sent().size(), 2U);
}

TEST_F(RepositoryTest, AManifestThatIsTakenAsAnotherIsNotPushed) {
    const char* line = "PUT https://r.example/v2/app/manifests/1";
    const oci::Digest digest = oci::digest_of(manifest_text);
    transport.on(line, {.status = 201}).on(line, {.status = 201, .headers = {{"docker-content-digest", "sha256:x"}}});
    EXPECT_EQ(registry.repository().put_manifest("1", manifest_text, oci), digest);
    EXPECT_EQ(transport.sent().back().body, manifest_text);
    EXPECT_EQ(transport.sent().back().header("content-type"), oci);
    EXPECT_THROW(registry.repository().put_manifest("1", manifest_text, oci), Error);
}

}  // namespace
}  // namespace mkimg::registry

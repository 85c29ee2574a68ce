#include <gtest/gtest.h>

#include "base/error.h"
#include "oci/image_config.h"

namespace mkimg::oci {
namespace {

const std::string d1 = "sha256:50644c29ef5a27c9a40c393a73ece2479de78325cae7d762ef3cdc19bf42dd0a";
const std::string d2 = "sha256:9c572ba82b91e3ac35c7351bdacc6876c67f5d9bc69c5e51e8b2deeafae95e4f";
const std::string oci_manifest(media_type::oci_manifest);
const std::string oci_index(media_type::oci_index);

const std::string config_field =
    R"("config":{"digest":")" + d1 + R"(","mediaType":"application/vnd.oci.image.config.v1+json","size":7})";
const std::string layers_field =
    R"("layers":[{"digest":")" + d2 + R"(","mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":5}])";
const std::string manifests_field = R"("manifests":[{"digest":")" + d1 + R"(","mediaType":")" + oci_manifest +
                                    R"(","platform":{"architecture":"arm","os":"linux","variant":"v7"},"size":9}])";

std::string type_field(const std::string& type) {
    return R"("mediaType":")" + type + "\"";
}
std::string object(std::initializer_list<std::string> fields) {
    std::string out = R"({"schemaVersion":2)";
    for (const std::string& field : fields) out += "," + field;
    return out + "}";
}

template <typename Document>
ErrorCode failure(const std::string& json) {
    try {
        Document::parse(json);
    } catch (const Error& e) {
        return e.code();
    }
    ADD_FAILURE() << json << " was taken";
    return ErrorCode::internal;
}

TEST(Manifest, ReadsAndWrites) {
    const Manifest manifest = Manifest::parse(
        object({type_field(oci_manifest), config_field, layers_field, R"("annotations":{"b":"2","a":"1"})"}));
    EXPECT_EQ(manifest.config.digest.str(), d1);
    EXPECT_EQ(manifest.config.size, 7U);
    ASSERT_EQ(manifest.layers.size(), 1U);
    EXPECT_EQ(manifest.layers[0].media_type, media_type::oci_layer_gzip);
    EXPECT_EQ(manifest.annotations.at("a"), "1");
    EXPECT_EQ(manifest.to_json(), R"({"annotations":{"a":"1","b":"2"},)" + config_field + "," + layers_field + "," +
                                      type_field(oci_manifest) + R"(,"schemaVersion":2})");
}

TEST(Manifest, TheMediaTypeMayBeMissing) {
    EXPECT_EQ(Manifest::parse(object({config_field, layers_field})).media_type, media_type::oci_manifest);
    EXPECT_TRUE(Manifest::parse(object({config_field, R"("layers":null)"})).layers.empty());
    EXPECT_FALSE(is_index(object({config_field, layers_field})));
    EXPECT_TRUE(is_index(object({manifests_field})));
}

TEST(Manifest, DockersTypesCountToo) {
    const std::string docker(media_type::docker_manifest);
    EXPECT_EQ(Manifest::parse(object({type_field(docker), config_field, layers_field})).media_type, docker);
    EXPECT_TRUE(is_index(object({type_field(std::string(media_type::docker_manifest_list)), manifests_field})));
}

TEST(Index, ReadsAndWrites) {
    const std::string json = "{" + manifests_field + "," + type_field(oci_index) + R"(,"schemaVersion":2})";
    const Index index = Index::parse(json);
    ASSERT_EQ(index.manifests.size(), 1U);
    EXPECT_EQ(index.manifests[0].platform->str(), "linux/arm/v7");
    EXPECT_EQ(index.to_json(), json);
}

// CVE-2021-41190: the same bytes read as a manifest by one and as an index by another.
TEST(Manifest, WhatClaimsToBeBothIsRefused) {
    for (const std::string& json : {object({config_field, layers_field, manifests_field}),
                                    object({type_field(oci_index), config_field, layers_field}),
                                    object({type_field(oci_index), layers_field, manifests_field}),
                                    object({type_field(oci_manifest), manifests_field}),
                                    object({type_field(oci_manifest), config_field, layers_field, manifests_field})}) {
        EXPECT_EQ(failure<Manifest>(json), ErrorCode::corrupt);
        EXPECT_EQ(failure<Index>(json), ErrorCode::corrupt);
        EXPECT_THROW(is_index(json), Error);
    }
    EXPECT_EQ(failure<Index>(object({type_field(oci_manifest), config_field, layers_field})), ErrorCode::corrupt);
    EXPECT_EQ(failure<Manifest>(object({type_field(oci_index), manifests_field})), ErrorCode::corrupt);
}

TEST(Manifest, OtherKindsAreUnsupported) {
    EXPECT_EQ(failure<Manifest>(object({type_field("application/vnd.example+json"), config_field})),
              ErrorCode::unsupported);
    EXPECT_EQ(failure<Manifest>(R"({"schemaVersion":1,"fsLayers":[],"history":[]})"), ErrorCode::unsupported);
}

TEST(Manifest, RefusesBadDescriptors) {
    const auto with_layer = [](const std::string& layer) {
        return object({config_field, "\"layers\":[" + layer + "]"});
    };
    const std::string type = R"("mediaType":"t")";
    EXPECT_EQ(failure<Manifest>(with_layer("{" + type + R"(,"size":1})")), ErrorCode::corrupt);
    EXPECT_EQ(failure<Manifest>(with_layer("{" + type + R"(,"size":1,"digest":"sha256:../../../etc/passwd"})")),
              ErrorCode::corrupt);
    EXPECT_EQ(failure<Manifest>(with_layer("{" + type + R"(,"size":1,"digest":"sha512:00"})")), ErrorCode::unsupported);
    for (const char* size : {"-1", "1.5", "\"1\"", "null", "18446744073709551615"}) {
        EXPECT_EQ(failure<Manifest>(with_layer("{" + type + R"(,"size":)" + size + R"(,"digest":")" + d1 + "\"}")),
                  ErrorCode::corrupt)
            << size;
    }
    EXPECT_EQ(failure<Manifest>(with_layer("null")), ErrorCode::corrupt);
    EXPECT_EQ(failure<Manifest>(object({layers_field})), ErrorCode::corrupt);
    EXPECT_EQ(failure<Manifest>("{" + config_field + "," + layers_field + "}"),
              ErrorCode::corrupt);  // no schemaVersion
    EXPECT_EQ(failure<Manifest>(object({config_field, R"("layers":{})"})), ErrorCode::corrupt);
}

}  // namespace
}  // namespace mkimg::oci

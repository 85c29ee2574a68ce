#include "builder/export_spec.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace mkimg::builder {
namespace {

using layers::Compression;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::string failure_of(std::string_view text) {
    try {
        parse_output(text);
    } catch (const Error& error) {
        return error.message();
    }
    return "no failure";
}

TEST(OutputSpec, ShortForms) {
    EXPECT_EQ(parse_output("out").type, OutputType::local);
    EXPECT_EQ(parse_output("out").destination, "out");
    EXPECT_EQ(parse_output("-").type, OutputType::tar);
    EXPECT_EQ(parse_output("-").destination, "-");
    EXPECT_EQ(parse_output("type=cacheonly").type, OutputType::cache_only);
}

TEST(OutputSpec, Defaults) {
    const auto oci = parse_output("type=oci,dest=a.tar");
    EXPECT_EQ(oci.compression, (layers::CompressionSpec{Compression::gzip, -1}));
    EXPECT_TRUE(oci.tar);
    EXPECT_TRUE(oci.oci_media_types);
    EXPECT_EQ(parse_output("type=docker,dest=a.tar").compression.format, Compression::none);
}

TEST(OutputSpec, EveryKey) {
    const auto spec = parse_output(
        "type=oci,dest=dir,tar=false,compression=zstd,compression-level=7,force-compression=true,"
        "oci-mediatypes=true,rewrite-timestamp=0,name=app:1,annotation.Org.Key=a=b");
    EXPECT_EQ(spec.destination, "dir");
    EXPECT_FALSE(spec.tar);
    EXPECT_EQ(spec.compression, (layers::CompressionSpec{Compression::zstd, 7}));
    EXPECT_EQ(spec.name, "app:1");
    EXPECT_THAT(spec.annotations, ElementsAre(Pair("Org.Key", "a=b")));
}

TEST(OutputSpec, ForcedCompressionHasALevel) {
    EXPECT_EQ(parse_output("type=oci,dest=a,force-compression=true").compression.level, 1);
    EXPECT_EQ(parse_output("type=oci,dest=a,compression=zstd,force-compression=true").compression.level, 3);
    EXPECT_EQ(parse_output("type=oci,dest=a,compression-level=5,force-compression=true").compression.level, 5);
    EXPECT_EQ(parse_output("type=oci,dest=a,force-compression=false").compression.level, -1);
}

TEST(OutputSpec, KeysHaveNoCaseAndValuesDo) {
    const auto spec = parse_output("Type=oci, DEST=A.tar");
    EXPECT_EQ(spec.type, OutputType::oci);
    EXPECT_EQ(spec.destination, "A.tar");
}

TEST(OutputSpec, QuotedFields) {
    EXPECT_EQ(parse_output(R"(type=oci,"dest=a,b ""c"".tar")").destination, R"(a,b "c".tar)");
    EXPECT_THAT(failure_of(R"(type=oci,"dest=a)"), HasSubstr("not closed"));
    EXPECT_THAT(failure_of(R"(type=oci,"dest=a"b)"), HasSubstr("comma"));
    EXPECT_THAT(failure_of(R"(type=oci,dest="a")"), HasSubstr("begins with its quote"));
}

TEST(OutputSpec, WhatIsUnknownIsNamed) {
    EXPECT_THAT(failure_of("type=oci,dst=a"), HasSubstr("did you mean dest?"));
    EXPECT_THAT(failure_of("type=oic,dest=a"), HasSubstr("did you mean oci?"));
    EXPECT_THAT(failure_of("type=oci,dest=a,compression=bzip2"), HasSubstr("unknown compression bzip2"));
    EXPECT_THAT(failure_of("type=tar,dest=a,annotation.x=y"), HasSubstr("unknown key of type=tar: annotation.x"));
}

TEST(OutputSpec, APushIsARegistryOrAnImageToBePushed) {
    const OutputSpec registry = parse_output("type=registry,name=a");
    EXPECT_EQ(registry.type, OutputType::image);
    EXPECT_TRUE(registry.push);
    EXPECT_EQ(registry.name, "a");
    EXPECT_FALSE(registry.compression_given);
    EXPECT_TRUE(parse_output("type=image,name=a,push=true").push);
    EXPECT_FALSE(parse_output("type=image,name=a").push);
    EXPECT_TRUE(parse_output("type=registry,compression=zstd").compression_given);
}

TEST(OutputSpec, WhatIsNotDoneIsRefused) {
    for (const auto* text : {"type=oci,dest=a,compression=estargz", "type=oci,dest=a,rewrite-timestamp=true"}) {
        try {
            parse_output(text);
            ADD_FAILURE() << text;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::unsupported) << text;
        }
    }
}

}  // namespace
}  // namespace mkimg::builder

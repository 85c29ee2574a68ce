#include <gtest/gtest.h>

#include <type_traits>
#include <vector>

#include "base/error.h"
#include "oci/digest.h"
#include "oci/platform.h"

namespace mkimg::oci {
namespace {

static_assert(!std::is_convertible_v<DiffId, Digest> && !std::is_constructible_v<ChainId, DiffId>,
              "the three identities must not mix");

// DiffIDs and ChainIDs of a real image.
TEST(ChainId, KnownAnswers) {
    const char* diffs[] = {"sha256:50644c29ef5a27c9a40c393a73ece2479de78325cae7d762ef3cdc19bf42dd0a",
                           "sha256:9c572ba82b91e3ac35c7351bdacc6876c67f5d9bc69c5e51e8b2deeafae95e4f",
                           "sha256:1680a9f16b18732726d0656b6d6ff9611a3c4460ca870827b537a87bbe10cc22",
                           "sha256:8521b614863046bf4bb604e3586feeca8b7ce1372f1d6664a5545e85ad9ca472"};
    const char* chains[] = {"sha256:50644c29ef5a27c9a40c393a73ece2479de78325cae7d762ef3cdc19bf42dd0a",
                            "sha256:fe267088885017d5e9a4621e68617a7f35e58dc2d0d747927882da21059854e3",
                            "sha256:5f72760956a669e4c9b33aa3f2f04baa84b0f4cf1e11676049981bafcbba74da",
                            "sha256:228fb92e31891f472e9857ee11d13c404ff7c88e808b05ce4ebdc80d785d71f3"};
    std::vector<DiffId> stack;
    std::optional<ChainId> chain;
    for (int i = 0; i < 4; ++i) {
        stack.push_back(DiffId::parse(diffs[i]).value());
        chain = chain_id(chain, stack.back());
        EXPECT_EQ(chain->str(), chains[i]);
        EXPECT_EQ(chain_id(stack), chain);
    }
    EXPECT_EQ(chain_id(std::span<const DiffId>()), std::nullopt);
}

TEST(Digest, TakesLowerCaseSha256AndNothingElse) {
    const std::string hex(64, 'a');
    EXPECT_EQ(Digest::parse("sha256:" + hex)->hex(), hex);
    EXPECT_EQ(Digest::parse("sha256:" + hex)->str(), "sha256:" + hex);
    const std::string bad_ones[] = {"",
                                    hex,
                                    "sha256:" + hex + "a",
                                    "sha256:" + std::string(63, 'a'),
                                    "sha256:" + std::string(64, 'A'),
                                    "sha512:" + hex,
                                    "SHA256:" + hex,
                                    "sha256:" + std::string(64, 'g'),
                                    " sha256:" + hex,
                                    "sha256:" + hex + "\n",
                                    "sha256:../../../../../../../../../../../../../../../../../../../../etc/p",
                                    "sha256:" + std::string(63, 'a') + std::string(1, '\0')};
    for (const std::string& bad : bad_ones) {
        EXPECT_EQ(Digest::parse(bad), std::nullopt) << bad;
    }
    EXPECT_THROW(Digest::from_hex("xyz"), Error);
    EXPECT_EQ(digest_of("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

struct PlatformCase {
    const char* text;
    const char* normal;
};

// What containerd's platforms.Normalize(platforms.Parse(…)) gives.
TEST(Platform, NormalisesAliases) {
    for (const PlatformCase& c :
         std::initializer_list<PlatformCase>{{"linux/amd64", "linux/amd64"},       {"linux/x86_64", "linux/amd64"},
                                             {"Linux/X86-64", "linux/amd64"},      {"linux/amd64/v1", "linux/amd64"},
                                             {"linux/amd64/v2", "linux/amd64/v2"}, {"linux/i386", "linux/386"},
                                             {"linux/arm64", "linux/arm64"},       {"linux/aarch64", "linux/arm64"},
                                             {"linux/arm64/v8", "linux/arm64"},    {"linux/arm64/8", "linux/arm64"},
                                             {"linux/arm64/v9", "linux/arm64/v9"}, {"linux/arm", "linux/arm/v7"},
                                             {"linux/arm/7", "linux/arm/v7"},      {"linux/arm/v6", "linux/arm/v6"},
                                             {"linux/arm/5", "linux/arm/v5"},      {"linux/armhf", "linux/arm/v7"},
                                             {"linux/armel", "linux/arm/v6"},      {"arm64", "linux/arm64"},
                                             {"riscv64", "linux/riscv64"},         {"windows/amd64", "windows/amd64"},
                                             {"macos/arm64", "darwin/arm64"}}) {
        EXPECT_EQ(Platform::parse(c.text).str(), c.normal) << c.text;
        EXPECT_EQ(Platform::parse(c.normal).str(), c.normal);
    }
}

TEST(Platform, RefusesWithAHint) {
    for (const char* bad : {"", "/", "linux/", "/amd64", "linux/amd64/v1/x", "linux amd64", "linux/amd46",
                            "linus/amd64", "x", "linux/\xFF", "linux//v7", "local\x1b"}) {
        try {
            Platform::parse(bad);
            ADD_FAILURE() << bad;
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::usage);
            EXPECT_FALSE(e.hint().empty());
        }
    }
    try {
        Platform::parse("linux/amd46");
    } catch (const Error& e) {
        EXPECT_NE(e.hint().find("amd64"), std::string::npos);
    }
}

TEST(Platform, HostIsNormal) {
    const Platform host = Platform::host();
    EXPECT_EQ(host.os, "linux");
    EXPECT_EQ(Platform::parse(host.str()), host);
#ifdef __x86_64__
    EXPECT_EQ(host.str(), "linux/amd64");
#endif
    EXPECT_EQ(Platform::parse("linux"), host);
}

}  // namespace
}  // namespace mkimg::oci

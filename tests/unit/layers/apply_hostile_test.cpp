// Unpacks every hostile archive. Beside the root lies a canary that none of them may touch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "layers/apply.h"
#include "tests/unit/layers/hostile_archives.h"
#include "tests/unit/layers/tree_text.h"
#include "tests/unit/temp_dir.h"

namespace mkimg::layers {
namespace {

using testing::HasSubstr;
using namespace hostile;

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at))
        text.replace(at, from.size(), to);
    return text;
}

// The canary's path goes into headers, whose checksums must then be made anew.
std::string with_canary(std::string bytes, const std::string& base) {
    const std::string_view placeholder = canary_name.substr(0, canary_name.rfind('/'));
    if (bytes.find(placeholder) == std::string::npos) return bytes;
    bytes = replaced(std::move(bytes), placeholder, base);
    for (std::size_t at = 0; at + 512 <= bytes.size(); at += 512) {
        std::string block = bytes.substr(at, 512);
        if (block.compare(257, 5, "ustar") != 0) continue;
        RawTar::seal(block);
        bytes.replace(at, 512, block);
    }
    return bytes;
}

class HostileArchive : public testing::TestWithParam<Case> {};

TEST_P(HostileArchive, HasItsVerdict) {
    const Case& test = GetParam();
    const TempDir base;
    ASSERT_EQ(base.path().size(), canary_name.rfind('/')) << "TMPDIR must be /tmp for these archives";
    ASSERT_EQ(::mkdir(base.path("canary").c_str(), 0750), 0);
    base.write("canary/secret", "unharmed", 0640);
    make_directory(base.fd(), "root", 0755);
    const TreeTextOptions exact{.times = true, .owners = true};
    const std::string canary_before = tree_text(base.path("canary"), exact);
    const std::string root = base.path("root");
    ApplyOptions options;
    if (test.add) {
        options = {.whiteouts = Whiteouts::as_files, .follow_parents = true};
        make_directory(base.fd(), "root/usr", 0755);
        make_directory(base.fd(), "root/usr/lib", 0755);
        ASSERT_EQ(::symlink("usr/lib", (root + "/lib").c_str()), 0);
        ASSERT_EQ(::symlink("/usr/lib", (root + "/abs").c_str()), 0);
        ASSERT_EQ(::symlink(base.path("canary").c_str(), (root + "/out").c_str()), 0);
        ASSERT_EQ(::symlink("../../canary", (root + "/up").c_str()), 0);
    }

    std::string refused;
    const std::string bytes = with_canary(test.tar, base.path());
    MemorySource source{std::string_view(bytes)};
    try {
        const UniqueFd directory = open_path(root, O_RDONLY | O_DIRECTORY);
        apply_tar(source, directory.get(), options);
    } catch (const Error& error) {
        refused = error.what();
        // A clash with what the image holds is not the archive's fault alone.
        EXPECT_TRUE(error.code() == ErrorCode::corrupt || (test.add && error.code() == ErrorCode::conflict));
    }

    EXPECT_EQ(tree_text(base.path("canary"), exact), canary_before);
    EXPECT_EQ(list_directory(base.fd()).size(), 2U);
    if (!test.refused.empty()) {
        EXPECT_THAT(refused, HasSubstr(test.refused));
        return;
    }
    EXPECT_EQ(refused, "");
    const std::string_view placeholder = canary_name.substr(0, canary_name.rfind('/'));
    std::string tree = tree_text(root, test.show);
    tree.erase(0, tree.find('\n') + 1);
    tree = replaced(std::move(tree), base.path().substr(5), placeholder.substr(5));
    EXPECT_EQ(tree, test.tree);
    std::byte more{};
    EXPECT_EQ(source.read(std::span(&more, 1)), 0U) << "the source must be read to its end";
}

INSTANTIATE_TEST_SUITE_P(All, HostileArchive, testing::ValuesIn(all_cases()),
                         [](const auto& made) { return std::string(made.param.name); });

TEST(HostileArchive, ThereAreManyOfThem) {
    EXPECT_GE(all_cases().size(), 60U);
}

std::string refusal(const std::string& bytes, const ApplyOptions& options) {
    const TempDir root;
    MemorySource source{std::string_view(bytes)};
    try {
        apply_tar(source, root.fd(), options);
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::corrupt);
        return error.what();
    }
    return "";
}

TEST(ApplyLimits, Entries) {
    const std::string bytes = tar().file("a").file("b").file("c").end().bytes();
    EXPECT_EQ(refusal(bytes, {.limits = {.entries = 3}}), "");
    EXPECT_THAT(refusal(bytes, {.limits = {.entries = 2}}), HasSubstr("more than the 2 entries"));
}

TEST(ApplyLimits, Bytes) {
    const std::string bytes = tar().file("a", "12345").file("b", "12345").end().bytes();
    EXPECT_EQ(refusal(bytes, {.limits = {.total_bytes = 10}}), "");
    EXPECT_THAT(refusal(bytes, {.limits = {.total_bytes = 9}}), HasSubstr("larger than the 9 B allowed"));
}

TEST(ApplyLimits, SparseSizeCountsBeforeAnythingIsWritten) {
    const std::string bytes = tar().raw(gnu_sparse(2048, 077777777777ULL)).end().bytes();
    EXPECT_THAT(refusal(bytes, {.limits = {.total_bytes = 1U << 30U}}), HasSubstr("larger than"));
}

TEST(ApplyLimits, NameLength) {
    const std::string bytes = tar().file("a/b/c").end().bytes();
    EXPECT_EQ(refusal(bytes, {.limits = {.path_length = 5}}), "");
    EXPECT_THAT(refusal(bytes, {.limits = {.path_length = 4}}), HasSubstr("too long"));
}

TEST(ApplyLimits, Xattrs) {
    const std::string bytes = tar().pax({{"SCHILY.xattr.user.a", "12345"}}).file("a").end().bytes();
    EXPECT_EQ(refusal(bytes, {.limits = {.xattr_bytes = 11}}), "");
    EXPECT_THAT(refusal(bytes, {.limits = {.xattr_bytes = 10}}), HasSubstr("extended attributes"));
}

}  // namespace
}  // namespace mkimg::layers

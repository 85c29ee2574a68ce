// Archives that no honest tool writes, each with a fixed verdict: refused with these words, or
// unpacked as this tree.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/layers/raw_tar.h"
#include "tests/unit/layers/tree_text.h"

namespace mkimg::layers::hostile {

// Stands for the canary's absolute path; it is as long as the real one.
constexpr std::string_view canary_name = "/tmp/mkimg-test-XXXXXX/canary";

struct Case {
    const char* name;
    std::string tar;
    std::string refused;  // words of the error; empty where the archive is unpacked
    std::string tree;     // without the root's line
    TreeTextOptions show = {};
    bool add = false;  // as ADD does: onto an image, names with .wh. are files, parents are followed

    friend void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }
};

inline RawTar tar() {
    return {};
}

inline std::string deep(int levels, const std::string& part) {
    std::string path;
    for (int i = 0; i < levels; ++i) path += (i == 0 ? "" : "/") + part;
    return path;
}

inline std::string repeat(const std::string& text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
}

// struct vfs_ns_cap_data, revision 3 with root id 1000: cap_net_raw, effective and permitted.
inline std::string capability_v3() {
    return std::string(
        "\x01\x00\x00\x03\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xe8\x03\x00\x00", 24);
}

// Old GNU sparse: two segments of content with a hole between, in a header of type S.
inline std::string gnu_sparse(std::uint64_t second_at, std::uint64_t real_size) {
    std::string block(512, '\0');
    const auto put = [&](std::size_t at, const std::string& text) { block.replace(at, text.size(), text); };
    put(0, "sparse");
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, RawTar::octal(1024, 11));
    put(136, RawTar::octal(1000, 11));
    block[156] = 'S';
    put(257, std::string("ustar  \0", 8));
    put(386, RawTar::octal(0, 11));
    put(398, RawTar::octal(512, 11));
    put(410, RawTar::octal(second_at, 11));
    put(422, RawTar::octal(512, 11));
    put(483, RawTar::octal(real_size, 11));
    RawTar::seal(block);
    return block + std::string(512, 'a') + std::string(512, 'b');
}

inline std::vector<Case> links_and_names() {
    const std::string canary(canary_name);
    return {
        {"root_is_a_symlink", tar().symlink("./", canary).file("secret", "x").end().bytes(), "root of the archive", ""},
        {"root_is_a_file", tar().add({.name = ".", .content = "x"}).end().bytes(), "root of the archive", ""},
        {"root_is_a_fifo", tar().add({.name = "./", .type = '6'}).end().bytes(), "root of the archive", ""},
        {"root_is_a_hardlink", tar().file("a").hardlink("./", "a").end().bytes(), "root of the archive", ""},
        {"file_through_symlink_absolute", tar().symlink("a", canary).file("a/secret", "x").end().bytes(),
         "leads through the symlink a", ""},
        {"file_through_symlink_up", tar().symlink("a", "..").file("a/canary/secret", "x").end().bytes(),
         "leads through the symlink a", ""},
        {"file_through_symlink_inside", tar().dir("b").symlink("a", "b").file("a/x", "x").end().bytes(),
         "leads through the symlink a", ""},
        {"file_through_deep_symlink", tar().dir("a").symlink("a/b", "/").file("a/b/etc/x", "x").end().bytes(),
         "leads through the symlink a/b", ""},
        {"file_through_symlink_loop", tar().symlink("a", "a").file("a/b", "x").end().bytes(),
         "leads through the symlink a", ""},
        {"directory_through_symlink", tar().symlink("a", canary).dir("a/new").end().bytes(), "leads through", ""},
        {"symlink_through_symlink", tar().symlink("a", canary).symlink("a/new", "x").end().bytes(), "leads through",
         ""},
        {"hardlink_placed_through_symlink", tar().file("f").symlink("a", canary).hardlink("a/new", "f").end().bytes(),
         "leads through", ""},
        {"fifo_through_symlink", tar().symlink("a", canary).add({.name = "a/new", .type = '6'}).end().bytes(),
         "leads through", ""},
        {"directory_replaces_symlink", tar().symlink("a", canary).dir("a", 0700).file("a/secret", "x").end().bytes(),
         "", "a/ 700\na/secret 644 'x'\n"},
        {"file_replaces_symlink", tar().symlink("a", canary + "/secret").file("a", "x", 0777).end().bytes(), "",
         "a 777 'x'\n"},
        {"fifo_replaces_symlink",
         tar().symlink("a", canary + "/secret").add({.name = "a", .type = '6', .mode = 0777}).end().bytes(), "",
         "a fifo 777\n"},
        {"device_replaces_symlink",
         tar()
             .symlink("a", canary + "/secret")
             .add({.name = "a", .type = '3', .mode = 0666, .major = 1, .minor = 3})
             .end()
             .bytes(),
         "", "a char 1:3 666\n"},
        {"symlink_replaces_full_directory", tar().dir("a").file("a/x").symlink("a", canary).end().bytes(), "",
         "a -> " + canary + "\n"},
        {"symlink_swapped_under_open_parent",
         tar().dir("a").file("a/x").symlink("a", canary).file("a/secret", "x").end().bytes(),
         "leads through the symlink a", ""},
        {"hardlink_up", tar().hardlink("a", "../canary/secret").end().bytes(), "leads out of the archive", ""},
        {"hardlink_absolute", tar().hardlink("a", canary + "/secret").end().bytes(), "which is not there", ""},
        {"hardlink_through_symlink", tar().symlink("l", canary).hardlink("a", "l/secret").end().bytes(),
         "which is not there", ""},
        {"hardlink_to_symlink_then_write",
         tar().symlink("l", canary + "/secret").hardlink("a", "l").file("a", "x").end().bytes(), "",
         "a 644 'x'\nl -> " + canary + "/secret\n"},
        {"hardlink_to_symlink", tar().symlink("l", canary + "/secret").hardlink("a", "l").end().bytes(), "",
         "a -> " + canary + "/secret\nl == a\n"},
        {"hardlink_with_dots_inside", tar().file("b").hardlink("a", "x/../b").end().bytes(), "leads out", ""},
        {"hardlink_to_missing", tar().hardlink("a", "b").end().bytes(), "which is not there", ""},
        {"hardlink_to_itself", tar().hardlink("a", "a").end().bytes(), "which is not there", ""},
        {"hardlink_to_itself_existing", tar().file("a", "x").hardlink("a", "./a").end().bytes(), "", "a 644 'x'\n"},
        {"hardlink_to_directory", tar().dir("d").hardlink("a", "d").end().bytes(), "a hard link to a directory", ""},
        {"hardlink_to_root", tar().hardlink("a", "/").end().bytes(), "a hard link to the root", ""},
        {"hardlink_replaces_its_target_directory", tar().dir("d").file("d/x").hardlink("d", "d/x").end().bytes(),
         "into what it replaces", ""},
        {"hardlink_with_content",
         tar()
             .pax({{"comment", "x"}})
             .file("b", "b")
             .add({.name = "a", .type = '1', .content = "evil", .link = "b"})
             .end()
             .bytes(),
         "", "a 644 'b'\nb == a\n"},
        {"hardlink_to_a_file_with_setuid",
         tar().file("b", "", 0755).add({.name = "a", .type = '1', .link = "b", .mode = 04777, .uid = 7}).end().bytes(),
         "", "a 755 ''\nb == a\n"},
        {"name_up", tar().file("../canary/secret", "x").end().bytes(), "leads out of the archive", ""},
        {"name_up_later", tar().dir("a").file("a/../../canary/secret", "x").end().bytes(), "leads out", ""},
        {"name_dots_inside", tar().file("a/../b", "x").end().bytes(), "leads out", ""},
        {"name_only_dots", tar().dir("..").end().bytes(), "leads out", ""},
        {"name_absolute_up", tar().file("/../x", "x").end().bytes(), "leads out", ""},
        {"name_absolute", tar().file(canary + "/secret", "x").end().bytes(), "",
         "tmp/ 755\ntmp/mkimg-test-XXXXXX/ 755\ntmp/mkimg-test-XXXXXX/canary/ 755\n"
         "tmp/mkimg-test-XXXXXX/canary/secret 644 'x'\n"},
        {"name_of_slashes_and_dots", tar().file(".//./a///./b", "x").end().bytes(), "", "a/ 755\na/b 644 'x'\n"},
        {"name_with_three_dots", tar().file(".../x", "x").end().bytes(), "", ".../ 755\n.../x 644 'x'\n"},
        {"name_steers_a_terminal", tar().file("\x1b[31m/../x").end().bytes(), "\\x1b[31m", ""},
        {"name_ends_in_slash", tar().file("a/").end().bytes(), "", "a/ 644\n"},
        {"name_not_utf8",
         tar().file("caf\xe9", "x").symlink("l\xff", "\xfe").hardlink("h\xe9", "caf\xe9").end().bytes(), "",
         "caf\xe9 644 'x'\nh\xe9 == caf\xe9\nl\xff -> \xfe\n"},
        {"name_component_too_long", tar().gnu('L', std::string(256, 'n')).file("x").end().bytes(),
         "longer than a file system", ""},
        {"name_of_4097_bytes", tar().gnu('L', deep(2048, "d") + "/dd").file("x").end().bytes(), "name is too long", ""},
        {"symlink_without_target", tar().symlink("a", "").end().bytes(), "without a target", ""},
        {"symlink_target_too_long", tar().gnu('K', std::string(4096, 't')).symlink("a", "x").end().bytes(),
         "target of the symlink is too long", ""},
        {"parent_is_a_file", tar().file("a", "x").file("a/b", "x").end().bytes(), "a is not a directory", ""},
        {"parent_is_a_fifo", tar().add({.name = "a", .type = '6'}).file("a/b", "x").end().bytes(),
         "a is not a directory", ""},
    };
}

inline std::vector<Case> whiteouts() {
    const std::string canary(canary_name);
    const std::string opaque = " trusted.overlay.opaque=y";
    return {
        {"whiteout_of_no_name", tar().file(".wh.").end().bytes(), "a whiteout of no name", ""},
        {"whiteout_of_dot", tar().file(".wh..").end().bytes(), "a whiteout of no name", ""},
        {"whiteout_of_dots", tar().file(".wh...").end().bytes(), "a whiteout of no name", ""},
        {"whiteout_of_dots_below", tar().dir("d").file("d/.wh...").end().bytes(), "a whiteout of no name", ""},
        {"whiteout_through_symlink", tar().symlink("a", canary).file("a/.wh.secret").end().bytes(), "leads through",
         ""},
        {"opaque_through_symlink", tar().symlink("a", canary).file("a/.wh..wh..opq").end().bytes(), "leads through",
         ""},
        {"opaque_after_additions", tar().dir("d").file("d/x", "x").file("d/.wh..wh..opq").end().bytes(), "",
         "d/ 755" + opaque + "\nd/x 644 'x'\n"},
        {"opaque_without_directory", tar().file("d/.wh..wh..opq").end().bytes(), "", "d/ 755" + opaque + "\n"},
        {"whiteout_of_own_file", tar().file("a", "x").file(".wh.a").end().bytes(), "", "a 644 'x'\n"},
        {"whiteout_before_own_file", tar().file(".wh.a").file("a", "x").end().bytes(), "", "a 644 'x'\n"},
        {"whiteout_of_own_symlink", tar().symlink("a", canary).file(".wh.a").end().bytes(), "",
         "a -> " + canary + "\n"},
        // What lies below stays deleted: the layer's own directory must not show it again.
        {"whiteout_of_own_directory", tar().dir("a").file("a/x").file(".wh.a").end().bytes(), "",
         "a/ 755" + opaque + "\na/x 644 ''\n"},
        {"whiteout_before_own_directory", tar().file(".wh.a").dir("a", 0700).end().bytes(), "",
         "a/ 700" + opaque + "\n"},
        {"whiteout_before_implied_directory", tar().file(".wh.a").file("a/x").end().bytes(), "",
         "a/ 755" + opaque + "\na/x 644 ''\n"},
        {"whiteout_twice", tar().file(".wh.a").file(".wh.a").end().bytes(), "", "a whiteout\n"},
        {"whiteout_is_a_directory", tar().dir(".wh.a").end().bytes(), "must be an empty file", ""},
        {"whiteout_with_content", tar().file(".wh.a", "x").end().bytes(), "must be an empty file", ""},
        {"entry_below_a_whiteout", tar().file(".wh.a/b").end().bytes(), "marked as deleted", ""},
        {"opaque_below_a_whiteout", tar().file(".wh.a/.wh..wh..opq").end().bytes(), "marked as deleted", ""},
        {"aufs_files",
         tar()
             .dir(".wh..wh.plnk")
             .file(".wh..wh.plnk/1.2")
             .file(".wh..wh.aufs")
             .dir("d")
             .file("d/.wh..wh.orph")
             .end()
             .bytes(),
         "", "d/ 755\n"},
        {"hardlink_to_a_deleted_file", tar().file(".wh.a").hardlink("b", "a").end().bytes(),
         "a hard link to a deleted file", ""},
        {"hardlink_to_a_whiteout", tar().file(".wh.a").hardlink("b", ".wh.a").end().bytes(), "which is not there", ""},
        {"device_that_is_a_whiteout", tar().add({.name = "a", .type = '3'}).end().bytes(), "a device 0:0", ""},
        {"overlay_xattrs",
         tar()
             .pax({{"SCHILY.xattr.trusted.overlay.opaque", "y"}, {"SCHILY.xattr.trusted.overlay.redirect", "/etc"}})
             .dir("d")
             .end()
             .bytes(),
         "", "d/ 755\n"},
    };
}

inline std::vector<Case> metadata() {
    using namespace std::string_literals;
    const TreeTextOptions times{.times = true};
    const TreeTextOptions owners{.owners = true};
    const std::string v2 = "\\01\\00\\00\\02\\00 " + repeat("\\00", 14);
    return {
        {"xattrs_of_the_host",
         tar()
             .pax({{"SCHILY.xattr.security.selinux", "evil"},
                   {"SCHILY.xattr.security.ima", "evil"},
                   {"SCHILY.xattr.trusted.x", "evil"},
                   {"SCHILY.xattr.system.posix_acl_access", "evil"},
                   {"SCHILY.xattr.com.apple.quarantine", "x"},
                   {"SCHILY.xattr.user.kept", "yes"}})
             .file("a")
             .end()
             .bytes(),
         "", "a 644 '' user.kept=yes\n"},
        {"xattr_on_a_symlink", tar().pax({{"SCHILY.xattr.user.x", "y"}}).symlink("a", "b").end().bytes(), "",
         "a -> b\n"},
        {"xattr_given_twice",
         tar().pax({{"SCHILY.xattr.user.x", "1"}, {"SCHILY.xattr.user.x", "2"}}).file("a").end().bytes(), "",
         "a 644 '' user.x=2\n"},
        {"xattr_with_a_long_name",
         tar().pax({{"SCHILY.xattr.user." + std::string(300, 'x'), "y"}}).file("a").end().bytes(), "is not valid", ""},
        {"capability_of_a_namespace",
         tar().pax({{"SCHILY.xattr.security.capability", capability_v3()}}).file("a").end().bytes(), "",
         "a 644 '' security.capability=" + v2 + "\n"},
        {"capability_of_nonsense", tar().pax({{"SCHILY.xattr.security.capability", "evil"}}).file("a").end().bytes(),
         "is not valid", ""},
        {"setuid_and_sticky", tar().file("a", "x", 06755).dir("d", 01777).end().bytes(), "", "a 6755 'x'\nd/ 1777\n"},
        {"setuid_survives_chown",
         tar().add({.name = "a", .content = "x", .mode = 04755, .uid = 7, .gid = 8}).end().bytes(), "",
         "a 4755 'x' 7:8\n", owners},
        {"devices",
         tar()
             .add({.name = "c", .type = '3', .mode = 0600, .major = 1, .minor = 3})
             .add({.name = "b", .type = '4', .mode = 0660, .major = 7, .minor = 300})
             .end()
             .bytes(),
         "", "b block 7:300 660\nc char 1:3 600\n"},
        {"device_major_too_large", tar().add({.name = "c", .type = '3', .major = 4096}).end().bytes(),
         "a device number", ""},
        {"device_minor_too_large", tar().add({.name = "c", .type = '4', .minor = 1U << 20U}).end().bytes(),
         "a device number", ""},
        {"device_largest",
         tar().add({.name = "c", .type = '4', .mode = 0600, .major = 4095, .minor = 1048575}).end().bytes(), "",
         "c block 4095:1048575 600\n"},
        {"uid_negative", tar().add({.name = "a", .raw_uid = RawTar::base256(-1, 8)}).end().bytes(),
         "user id -1 is out of range", ""},
        {"uid_unchanged", tar().pax({{"uid", "4294967295"}}).file("a").end().bytes(), "is out of range", ""},
        {"uid_wraps_to_root", tar().pax({{"uid", "4294967296"}}).file("a").end().bytes(), "is out of range", ""},
        {"gid_wraps_to_root", tar().pax({{"gid", "4294967296"}}).file("a").end().bytes(), "group id", ""},
        {"uid_largest", tar().add({.name = "a", .raw_uid = RawTar::base256(4294967294, 8)}).end().bytes(), "",
         "a 644 '' 4294967294:0\n", owners},
        {"mtime_negative", tar().add({.name = "a", .raw_mtime = RawTar::base256(-86400, 12)}).end().bytes(), "",
         "a 644 '' @-86400\n", times},
        {"mtime_negative_in_pax", tar().pax({{"mtime", "-1"}}).file("a").end().bytes(), "", "a 644 '' @-1\n", times},
        {"times_of_directories",
         tar().add({.name = "d", .type = '5', .mode = 0755, .mtime = 77}).file("d/x").file("e/f/g").end().bytes(), "",
         "d/ 755 @77\nd/x 644 '' @1000\ne/ 755 @1000\ne/f/ 755 @1000\ne/f/g 644 '' @1000\n", times},
        {"duplicate_file", tar().file("a", "one", 0600).file("a", "2", 0640).end().bytes(), "", "a 640 '2'\n"},
        {"file_replaces_full_directory", tar().dir("a/b").file("a/b/c").file("a", "x").end().bytes(), "",
         "a 644 'x'\n"},
        {"directory_replaces_file", tar().file("a", "x").dir("a").file("a/b").end().bytes(), "",
         "a/ 755\na/b 644 ''\n"},
        {"directory_twice", tar().dir("a", 0700).file("a/b").dir("a", 0750).end().bytes(), "", "a/ 750\na/b 644 ''\n"},
        {"unwritable_directory", tar().dir("a", 0).file("a/b", "x").end().bytes(), "", "a/ 0\na/b 644 'x'\n"},
        {"directory_of_64_levels", tar().gnu('L', deep(64, "d") + "/x").file("x", "x").end().bytes(), "",
         [] {
             std::string tree;
             for (int i = 1; i <= 64; ++i) tree += deep(i, "d") + "/ 755\n";
             return tree + deep(64, "d") + "/x 644 'x'\n";
         }()},
    };
}

inline std::vector<Case> format() {
    using namespace std::string_literals;
    const std::string canary(canary_name);
    const std::string segments = std::string(512, 'a') + std::string(1536, '\0') + std::string(512, 'b');
    return {
        {"pax_path", tar().pax({{"path", "../canary/secret"}}).file("ok", "x").end().bytes(), "leads out", ""},
        {"pax_path_absolute", tar().pax({{"path", "/a"}}).file("ok", "x").end().bytes(), "", "a 644 'x'\n"},
        {"pax_path_not_utf8", tar().pax({{"path", "caf\xe9"}, {"linkpath", "\xff"}}).symlink("ok", "x").end().bytes(),
         "", "caf\xe9 -> \xff\n"},
        {"pax_linkpath", tar().pax({{"linkpath", "../canary/secret"}}).hardlink("a", "ok").end().bytes(), "leads out",
         ""},
        // What follows a NUL was never part of the name.
        {"pax_path_with_nul", tar().pax({{"path", "a\0/../b"s}}).file("ok", "x").end().bytes(), "", "a 644 'x'\n"},
        {"pax_linkpath_with_nul", tar().pax({{"linkpath", "t\0u"s}}).symlink("a", "ok").end().bytes(), "", "a -> t\n"},
        {"pax_global_path", tar().pax({{"path", "../x"}}, 'g').file("ok", "x").end().bytes(), "", "ok 644 'x'\n"},
        {"pax_bad_length", tar().add({.name = "p", .type = 'x', .content = "99 path=x\n"}).file("ok").end().bytes(),
         "alformed pax", ""},
        {"pax_no_number", tar().add({.name = "p", .type = 'x', .content = "path=../x\n"}).file("ok").end().bytes(),
         "alformed pax", ""},
        {"pax_no_value", tar().add({.name = "p", .type = 'x', .content = "8 path\n\n"}).file("ok").end().bytes(), "pax",
         ""},
        {"pax_too_large", tar().pax({{"comment", std::string(1100000, 'x')}}).file("ok").end().bytes(), "too large",
         ""},
        {"pax_without_entry", tar().pax({{"path", "x"}}).end().bytes(), "broken tar archive", ""},
        {"pax_size_too_large", tar().pax({{"size", "1000000"}}).file("a", "x").end().bytes(), "Truncated", ""},
        {"pax_size_negative", tar().pax({{"size", "-5"}}).file("a", "x").end().bytes(), "size", ""},
        {"gnu_name", tar().gnu('L', "../canary/secret").file("ok", "x").end().bytes(), "leads out", ""},
        {"gnu_link", tar().gnu('K', "../canary/secret").hardlink("a", "ok").end().bytes(), "leads out", ""},
        {"gnu_link_absolute", tar().gnu('K', canary + "/secret").hardlink("a", "ok").end().bytes(), "not there", ""},
        {"gnu_name_with_nul", tar().gnu('L', "a\0../b"s).file("ok", "x").end().bytes(), "", "a 644 'x'\n"},
        {"gnu_headers_without_end",
         [] {
             RawTar many;
             for (int i = 0; i < 100; ++i) many.gnu('L', "x");
             return many.file("x").end().bytes();
         }(),
         "broken tar archive", ""},
        {"gnu_sparse", tar().raw(gnu_sparse(2048, 2560)).end().bytes(), "", "sparse 644 '" + segments + "'\n"},
        {"gnu_sparse_beyond_its_size", tar().raw(gnu_sparse(1U << 20U, 2560)).end().bytes(), "sparse", ""},
        {"gnu_sparse_of_eight_gigabytes",
         tar().raw(gnu_sparse(2048, 077777777777ULL)).end().bytes(),
         "",
         "sparse 644\n",
         {.content = false}},
        {"pax_sparse",
         tar()
             .pax({{"GNU.sparse.major", "1"},
                   {"GNU.sparse.minor", "0"},
                   {"GNU.sparse.name", "s"},
                   {"GNU.sparse.realsize", "2560"}})
             .file("GNUSparseFile.0/s",
                   RawTar::padded("2\n0\n512\n2048\n512\n") + std::string(512, 'a') + std::string(512, 'b'))
             .end()
             .bytes(),
         "", "s 644 '" + segments + "'\n"},
        {"pax_sparse_name",
         tar()
             .pax({{"GNU.sparse.major", "1"},
                   {"GNU.sparse.minor", "0"},
                   {"GNU.sparse.name", "../s"},
                   {"GNU.sparse.realsize", "512"}})
             .file("GNUSparseFile.0/s", RawTar::padded("1\n0\n512\n") + std::string(512, 'a'))
             .end()
             .bytes(),
         "leads out", ""},
        {"size_negative", tar().add({.name = "a", .raw_size = RawTar::base256(-1, 12)}).end().bytes(), "negative size",
         ""},
        {"size_of_exabytes", tar().add({.name = "a", .raw_size = RawTar::base256(1LL << 62U, 12)}).end().bytes(),
         "larger than the 4.0 TiB", ""},
        {"size_beyond_the_end", tar().add({.name = "a", .content = "x", .raw_size = "00000077777"}).end().bytes(),
         "Truncated", ""},
        {"truncated_header", tar().file("a", "x").bytes() + std::string(100, 'h'), "Truncated", ""},
        {"truncated_content", tar().file("a", std::string(5000, 'x')).bytes().substr(0, 3000), "Truncated", ""},
        {"wrong_checksum",
         [] {
             std::string bytes = tar().file("a", "x").end().bytes();
             bytes[0] = 'b';
             return bytes;
         }(),
         "at the start", ""},
        {"wrong_checksum_later", tar().file("a", "x").raw(std::string(512, 'x')).end().bytes(),
         "after entry 1 (a): Damaged", ""},
        {"not_a_tar", std::string(4096, 'x'), "broken tar archive: at the start", ""},
        {"nothing", "", "", ""},
        {"only_the_end", tar().end().bytes(), "", ""},
        {"entries_after_the_end", tar().file("a", "x").end().file("../b", "x").end().bytes(), "", "a 644 'x'\n"},
        {"without_an_end", tar().file("a", "x").bytes(), "", "a 644 'x'\n"},
        {"unknown_type", tar().add({.name = "a", .type = 'Z', .content = "x"}).end().bytes(), "", "a 644 'x'\n"},
        {"old_format", tar().add({.name = "a", .content = "x", .magic = std::string(8, '\0')}).end().bytes(), "",
         "a 644 'x'\n"},
        {"prefix_up", tar().add({.name = "secret", .content = "x", .prefix = "../canary"}).end().bytes(), "leads out",
         ""},
    };
}

// Unpacked onto: usr/lib/, lib -> usr/lib, abs -> /usr/lib, out -> the canary's path, up -> ../../canary
inline std::vector<Case> onto_an_image() {
    const std::string canary(canary_name);
    const std::string image =
        "abs -> /usr/lib\nlib -> usr/lib\nout -> " + canary + "\nup -> ../../canary\nusr/ 755\nusr/lib/ 755\n";
    const auto with = [&](const std::string& before, const std::string& what) {
        std::string tree = image;
        return tree.insert(tree.find(before), what);
    };
    const auto last = [&](const std::string& what) { return image + what; };
    const std::string inside =
        "tmp/ 755\ntmp/mkimg-test-XXXXXX/ 755\ntmp/mkimg-test-XXXXXX/canary/ 755\n"
        "tmp/mkimg-test-XXXXXX/canary/secret 644 'x'\n";
    return {
        {"add_through_symlink", tar().file("lib/x", "x").end().bytes(), "", last("usr/lib/x 644 'x'\n"), {}, true},
        {"add_through_absolute_symlink",
         tar().file("abs/x", "x").end().bytes(),
         "",
         last("usr/lib/x 644 'x'\n"),
         {},
         true},
        {"add_through_symlink_out", tar().file("out/secret", "x").end().bytes(), "", with("up ->", inside), {}, true},
        {"add_through_symlink_up",
         tar().file("up/secret", "x").end().bytes(),
         "",
         with("lib ->", "canary/ 755\ncanary/secret 644 'x'\n"),
         {},
         true},
        {"add_through_own_symlink",
         tar().symlink("a", "/usr").file("a/x", "x").end().bytes(),
         "",
         "a -> /usr\n" + last("usr/x 644 'x'\n"),
         {},
         true},
        {"add_through_replaced_symlink",
         tar().symlink("a", "usr").file("a/x", "1").symlink("a", "usr/lib").file("a/y", "2").end().bytes(),
         "",
         "a -> usr/lib\n" + last("usr/lib/y 644 '2'\nusr/x 644 '1'\n"),
         {},
         true},
        {"add_hardlink_through_symlink_up",
         tar().hardlink("a", "up/secret").end().bytes(),
         "which is not there",
         "",
         {},
         true},
        {"add_hardlink_through_symlink_out",
         tar().hardlink("a", "out/secret").end().bytes(),
         "which is not there",
         "",
         {},
         true},
        {"add_over_symlink",
         tar().file("out", "x").end().bytes(),
         "",
         "abs -> /usr/lib\nlib -> usr/lib\nout 644 'x'\nup -> ../../canary\nusr/ 755\nusr/lib/ 755\n",
         {},
         true},
        {"add_directory_over_symlink",
         tar().dir("out", 0700).end().bytes(),
         "",
         "abs -> /usr/lib\nlib -> usr/lib\nout/ 700\nup -> ../../canary\nusr/ 755\nusr/lib/ 755\n",
         {},
         true},
        {"add_symlink_loop",
         tar().symlink("a", "b").symlink("b", "a").file("a/x").end().bytes(),
         "symbolic links",
         "",
         {},
         true},
        {"add_name_up", tar().file("../x").end().bytes(), "leads out", "", {}, true},
        {"add_whiteout_is_a_file",
         tar().file(".wh.usr", "x").file("usr/.wh..wh..opq").end().bytes(),
         "",
         ".wh.usr 644 'x'\nabs -> /usr/lib\nlib -> usr/lib\nout -> " + canary +
             "\nup -> ../../canary\nusr/ 755\nusr/.wh..wh..opq 644 ''\nusr/lib/ 755\n",
         {},
         true},
        {"add_whiteout_device", tar().add({.name = "usr/a", .type = '3'}).end().bytes(), "a device 0:0", "", {}, true},
    };
}

inline std::vector<Case> all_cases() {
    std::vector<Case> all;
    for (auto& part : {links_and_names(), whiteouts(), metadata(), format(), onto_an_image()}) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

}  // namespace mkimg::layers::hostile

#include "parser/ignore.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mkimg::parser {
namespace {

struct Case {
    std::string rules;
    std::string path;
    bool ignored;
};

class Ignore : public testing::TestWithParam<Case> {};

TEST_P(Ignore, Verdict) {
    const Case& c = GetParam();
    EXPECT_EQ(IgnoreRules::parse(c.rules, ".dockerignore").ignored(c.path), c.ignored)
        << "rules:\n"
        << c.rules << "\npath: " << c.path;
}

// The patterns of Docker's own matcher and what it says of them.
INSTANTIATE_TEST_SUITE_P(
    Patterns, Ignore,
    testing::Values(
        Case{"**", "file", true}, Case{"**", "file/", true}, Case{"**/", "file", true}, Case{"**", "/", true},
        Case{"**", "dir/file", true}, Case{"**/", "dir/file", true}, Case{"**/**", "dir/file", true},
        Case{"dir/**", "dir/file", true}, Case{"dir/**", "dir/dir2/file", true}, Case{"dir/**", "dir", false},
        Case{"**/dir", "dir", true}, Case{"**/dir", "dir/file", true}, Case{"**/dir2/*", "dir/dir2/file", true},
        Case{"**/dir2/*", "dir/dir2/dir3/file", true}, Case{"**file", "file", true}, Case{"**file", "dir/file", true},
        Case{"**/file", "dir/file", true}, Case{"**file", "dir/dir/file", true}, Case{"**/file", "dir/dir/file", true},
        Case{"**/file*", "dir/dir/file", true}, Case{"**/file*", "dir/dir/file.txt", true},
        Case{"**/file*txt", "dir/dir/file.txt", true}, Case{"**/file*.txt", "dir/dir/file.txt", true},
        Case{"**/file*.txt*", "dir/dir/file.txt", true}, Case{"**/**/*.txt", "dir/dir/file.txt", true},
        Case{"**/**/*.txt2", "dir/dir/file.txt", false}, Case{"**/*.txt", "file.txt", true},
        Case{"**/**/*.txt", "file.txt", true}, Case{"a**/*.txt", "a/file.txt", true},
        Case{"a**/*.txt", "a/dir/file.txt", true}, Case{"a**/*.txt", "a/dir/dir/file.txt", true},
        Case{"a/*.txt", "a/dir/file.txt", false}, Case{"a/*.txt", "a/file.txt", true},
        Case{"a/*.txt**", "a/file.txt", true}, Case{"a[b-d]e", "ae", false}, Case{"a[b-d]e", "ace", true},
        Case{"a[b-d]e", "aae", false}, Case{"a[^b-d]e", "aze", true}, Case{".*", ".foo", true},
        Case{".*", "foo", false}, Case{"abc.def", "abcdef", false}, Case{"abc.def", "abc.def", true},
        Case{"abc.def", "abcZdef", false}, Case{"abc?def", "abcZdef", true}, Case{"abc?def", "abcdef", false},
        Case{"a\\\\", "a\\", true}, Case{"**/foo/bar", "foo/bar", true}, Case{"**/foo/bar", "dir/foo/bar", true},
        Case{"**/foo/bar", "dir/dir2/foo/bar", true}, Case{"abc/**", "abc", false}, Case{"abc/**", "abc/def", true},
        Case{"abc/**", "abc/def/ghi", true}, Case{"**/.foo", ".foo", true}, Case{"**/.foo", "bar.foo", false},
        Case{"**/.foo", "x/.foo", true}, Case{"a(b)c/def", "a(b)c/def", true}, Case{"a(b)c/def", "a(b)c/xyz", false},
        Case{"a.|)$(}+{bc", "a.|)$(}+{bc", true},
        Case{"dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
             "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", true},
        Case{"dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", true}));

INSTANTIATE_TEST_SUITE_P(Parents, Ignore,
                         testing::Values(Case{"dir", "dir/a/b", true}, Case{"dir/a", "dir/a/b/c", true},
                                         Case{"*", "a/b/c", true}, Case{"*/b", "a/b/c", true}, Case{"*/b", "b", false},
                                         Case{"dir", "dirt", false}, Case{"dir", "x/dir", false},
                                         Case{"?", "a/b", true}, Case{"a*", "b/a", false},
                                         Case{"node_modules", "node_modules", true}));

INSTANTIATE_TEST_SUITE_P(
    Exceptions, Ignore,
    testing::Values(
        Case{"*\n!keep", "keep", false}, Case{"*\n!keep", "drop", true}, Case{"*\n!keep", "keep/a/b", false},
        Case{"*.md\n!README.md", "README.md", false}, Case{"*.md\n!README.md", "other.md", true},
        Case{"*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true},
        Case{"*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false},
        Case{"!fileutils.go", "fileutils.go", false}, Case{"!keep\nkeep", "keep", true},
        Case{"docs\n!docs/README.md", "docs/README.md", false}, Case{"docs\n!docs/README.md", "docs/other.md", true},
        Case{"docs\n!docs/README.md", "docs", true}, Case{"**\n!util/docker/web", "util/docker/web/foo", false},
        Case{"**\n!util/docker/web", "util/docker/foo", true},
        Case{"**\n!util/docker/web\nutil/docker/web/foo", "util/docker/web/foo", true},
        Case{"**\n!dir/**\ndir/x", "dir/x", true}, Case{"a\n!a/b\na/b/c", "a/b/c/d", true},
        Case{"a\n!**/keep", "a/b/keep", false}, Case{"! spaced\n", "spaced", false}, Case{"*\n! keep", "keep", false}));

INSTANTIATE_TEST_SUITE_P(Lines, Ignore,
                         testing::Values(Case{"", "a", false}, Case{"\n\n", "a", false}, Case{"# a\na", "a", true},
                                         Case{"#a", "#a", false}, Case{" #a", "#a", true}, Case{"\\#a", "#a", true},
                                         Case{"  a  ", "a", true}, Case{"a\r\nb\r\n", "a", true},
                                         Case{"a\r\nb\r\n", "b", true},
                                         Case{"\xEF\xBB\xBF"
                                              "a",
                                              "a", true},
                                         Case{"a", "b", false}, Case{"/a", "a", true}, Case{"a/", "a", true},
                                         Case{"/a/b/", "a/b", true}, Case{"./a", "a", true}, Case{"a//b", "a/b", true},
                                         Case{"a/./b", "a/b", true}, Case{"a/../b", "b", true},
                                         Case{"a/../b", "a", false}, Case{"../a", "a", false}, Case{".", "a", false},
                                         Case{"/", "a", false}, Case{"/..", "a", false}, Case{"é*", "éa", true},
                                         Case{"?", "é", true}, Case{"a\\*b", "a*b", true}, Case{"a\\*b", "axb", false},
                                         Case{"[[]x]", "[x]", true}, Case{"[\\]a]", "]", true},
                                         Case{"a b", "a b", true}, Case{"x", "", false}));

TEST(IgnoreRules, WithoutPatternsIgnoreNothing) {
    EXPECT_TRUE(IgnoreRules().empty());
    EXPECT_FALSE(IgnoreRules().ignored("a"));
    EXPECT_TRUE(IgnoreRules().may_contain_included("a"));
    EXPECT_TRUE(IgnoreRules::parse("# only\n\n", "x").empty());
    EXPECT_FALSE(IgnoreRules::parse("a", "x").empty());
}

TEST(IgnoreRules, NameThePatternThatDecided) {
    const IgnoreRules rules = IgnoreRules::parse("# first\n*.conf\n /logs/ \n!app.conf\n", ".dockerignore");
    const auto conf = rules.deciding_pattern("db.conf");
    ASSERT_TRUE(conf);
    EXPECT_EQ(conf->text, "*.conf");
    EXPECT_EQ(conf->line, 2U);
    EXPECT_EQ(rules.deciding_pattern("logs/a/b")->text, "/logs/");
    EXPECT_EQ(rules.deciding_pattern("app.conf")->text, "!app.conf");
    EXPECT_FALSE(rules.deciding_pattern("other"));
}

TEST(IgnoreRules, TellWhichDirectoriesNeedNoVisit) {
    const IgnoreRules rules = IgnoreRules::parse("*\n!src/*/keep\n!docs\n!lib/a**z\n", "x");
    EXPECT_FALSE(rules.may_contain_included("vendor"));
    EXPECT_FALSE(rules.may_contain_included("source"));
    EXPECT_TRUE(rules.may_contain_included("src"));
    EXPECT_TRUE(rules.may_contain_included("src/any"));
    EXPECT_FALSE(rules.may_contain_included("src/any/other"));
    EXPECT_TRUE(rules.may_contain_included("docs"));
    EXPECT_TRUE(rules.may_contain_included("docs/deep"));
    EXPECT_TRUE(rules.may_contain_included("lib"));
    EXPECT_TRUE(rules.may_contain_included("lib/abc"));
    EXPECT_FALSE(rules.may_contain_included("lib/bc"));
}

TEST(IgnoreRules, ALaterPatternClosesWhatAnEarlierOpened) {
    EXPECT_FALSE(IgnoreRules::parse("!a/b\na\n", "x").may_contain_included("a"));
    EXPECT_TRUE(IgnoreRules::parse("a\n!**/b\n", "x").may_contain_included("a/c/d"));
    EXPECT_TRUE(IgnoreRules::parse("a\n", "x").may_contain_included("b"));
}

std::string report(std::string_view text) {
    try {
        IgnoreRules::parse(text, ".dockerignore");
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::recipe);
        return render(error);
    }
    return "none";
}

TEST(IgnoreRules, RefuseMalformedPatterns) {
    EXPECT_EQ(report("ok\n  a[\r\n"),
              ".dockerignore:2:3: error: malformed pattern: a [ is never closed\n"
              "  2 |   a[\n"
              "    |   ^~\n"
              "  hint: write \\[ for the character itself\n");
    EXPECT_EQ(report("!"),
              ".dockerignore:1:1: error: a ! without a pattern\n"
              "  1 | !\n"
              "    | ^\n"
              "  hint: write !PATTERN, or remove the line\n");
    for (const char* text :
         {"! ", "!/", "[]", "[]a]", "[^]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[a", "[^a", "a\\", "[\\"}) {
        EXPECT_NE(report(text), "none") << text;
    }
    EXPECT_NE(report(std::string(5000, 'a')), "none");
}

struct Match {
    std::string pattern;
    std::string path;
    bool matches;
};

class GlobMatch : public testing::TestWithParam<Match> {};

TEST_P(GlobMatch, AsGoDoes) {
    EXPECT_EQ(glob_match(GetParam().pattern, GetParam().path), GetParam().matches)
        << GetParam().pattern << " " << GetParam().path;
}

// From the tests of Go's path/filepath.
INSTANTIATE_TEST_SUITE_P(
    Go, GlobMatch,
    testing::Values(Match{"abc", "abc", true}, Match{"*", "abc", true}, Match{"*c", "abc", true},
                    Match{"a*", "a", true}, Match{"a*", "abc", true}, Match{"a*", "ab/c", false},
                    Match{"a*/b", "abc/b", true}, Match{"a*/b", "a/c/b", false},
                    Match{"a*b*c*d*e*/f", "axbxcxdxe/f", true}, Match{"a*b*c*d*e*/f", "axbxcxdxexxx/f", true},
                    Match{"a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false}, Match{"a*b*c*d*e*/f", "axbxcxdxexxx/fff", false},
                    Match{"a*b?c*x", "abxbbxdbxebxczzx", true}, Match{"a*b?c*x", "abxbbxdbxebxczzy", false},
                    Match{"ab[c]", "abc", true}, Match{"ab[b-d]", "abc", true}, Match{"ab[e-g]", "abc", false},
                    Match{"ab[^c]", "abc", false}, Match{"ab[^b-d]", "abc", false}, Match{"ab[^e-g]", "abc", true},
                    Match{"a\\*b", "a*b", true}, Match{"a\\*b", "ab", false}, Match{"a?b", "a☺b", true},
                    Match{"a[^a]b", "a☺b", true}, Match{"a???b", "a☺b", false}, Match{"a[^a][^a][^a]b", "a☺b", false},
                    Match{"[a-ζ]*", "α", true}, Match{"*[a-ζ]", "A", false}, Match{"a?b", "a/b", false},
                    Match{"a*b", "a/b", false}, Match{"[\\]a]", "]", true}, Match{"[\\-]", "-", true},
                    Match{"[x\\-]", "x", true}, Match{"[x\\-]", "-", true}, Match{"[x\\-]", "z", false},
                    Match{"[\\-x]", "x", true}, Match{"[\\-x]", "-", true}, Match{"[\\-x]", "a", false},
                    Match{"*x", "xxx", true}, Match{"**", "a/b", false}, Match{"", "", true}, Match{"*", "", true},
                    Match{"[[]", "[", true}));

TEST(Glob, RefusesMalformedPatterns) {
    for (const char* pattern : {"[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "a/b["}) {
        EXPECT_THROW(glob_match(pattern, "a"), Error) << pattern;
    }
}

TEST(Glob, KnowsAPatternFromAPlainPath) {
    for (const char* pattern : {"*", "a?", "[a]", "a\\b"}) EXPECT_TRUE(has_glob(pattern)) << pattern;
    for (const char* path : {"", "a", "a/b.c", "]", "é"}) EXPECT_FALSE(has_glob(path)) << path;
}

// Each character meets each token at most once, so stars don't multiply.
TEST(Glob, ManyStarsStayCheap) {
    std::string pattern;
    for (int i = 0; i < 500; ++i) pattern += "*a";
    EXPECT_FALSE(glob_match(pattern + "b", std::string(2000, 'a')));
    std::string deep;
    for (int i = 0; i < 1000; ++i) deep += "**/";
    EXPECT_TRUE(IgnoreRules::parse(deep + "x", "x").ignored("a/b/c/x"));
}

}  // namespace
}  // namespace mkimg::parser

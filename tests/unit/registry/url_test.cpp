#include "registry/url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace mkimg::registry {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string refusal(std::string_view text) {
    try {
        return "accepted as " + Url::parse(text).str();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::corrupt);
        return e.message();
    }
}

TEST(Url, IsTakenApart) {
    const Url url = Url::parse("https://registry.example.com:5000/v2/a%2Fb/?digest=sha256%3Aab&x=1#fragment");
    EXPECT_EQ(url.scheme, "https");
    EXPECT_EQ(url.host, "registry.example.com");
    EXPECT_EQ(url.port, 5000);
    EXPECT_EQ(url.path, "/v2/a%2Fb/");
    EXPECT_EQ(url.query, "digest=sha256%3Aab&x=1");
    EXPECT_EQ(url.str(), "https://registry.example.com:5000/v2/a%2Fb/?digest=sha256%3Aab&x=1");
    EXPECT_EQ(url.authority(), "registry.example.com:5000");
}

TEST(Url, NormalisesCaseAndPort) {
    const Url url = Url::parse("HTTPS://Registry.EXAMPLE.com:443");
    EXPECT_EQ(url.str(), "https://registry.example.com/");
    EXPECT_EQ(url.port, 443);
    EXPECT_EQ(Url::parse("http://h:80/").authority(), "h");
    EXPECT_EQ(Url::parse("http://h:443/").authority(), "h:443");
    EXPECT_EQ(Url::parse("http://h/Case/Kept").path, "/Case/Kept");
    EXPECT_TRUE(url.same_origin(Url::parse("https://registry.example.com:443/other?q")));
    EXPECT_FALSE(url.same_origin(Url::parse("http://registry.example.com:443/")));
    EXPECT_FALSE(url.same_origin(Url::parse("https://registry.example.com:444/")));
    EXPECT_FALSE(url.same_origin(Url::parse("https://registry.example.com.evil.org/")));
}

TEST(Url, Ipv6StandsInBrackets) {
    const Url url = Url::parse("http://[2001:DB8::1]:5000/v2/");
    EXPECT_EQ(url.host, "2001:db8::1");
    EXPECT_EQ(url.authority(), "[2001:db8::1]:5000");
    EXPECT_EQ(url.str(), "http://[2001:db8::1]:5000/v2/");
    EXPECT_EQ(Url::parse("https://[::1]/").authority(), "[::1]");
    EXPECT_THAT(refusal("http://[fe80::1%25eth0]/"), HasSubstr("zone"));
    EXPECT_THAT(refusal("http://[::1/"), HasSubstr("no URL"));
}

TEST(Url, UserInformationIsRefusedAndNotShown) {
    for (const char* const text : {"https://user:s3cret@example.com/v2/", "https://s3cret@example.com/",
                                   "https://@example.com/s3cre", "http://a:s3cret@evil@example.com/"}) {
        const std::string message = refusal(text);
        EXPECT_THAT(message, HasSubstr("no URL that mkimg takes")) << text;
        EXPECT_THAT(message, Not(HasSubstr("s3cret"))) << text;
    }
}

TEST(Url, OtherSchemesAndBrokenTextsAreRefused) {
    for (const char* const text : {"",
                                   "example.com",
                                   "/v2/",
                                   "ftp://example.com/",
                                   "file:///etc/passwd",
                                   "gopher://h/",
                                   "https:",
                                   "https:/h/v2/",
                                   "https:h",
                                   "https://",
                                   "https:///v2/",
                                   "https:////h/",
                                   "https://h:0/",
                                   "https://h:65536/",
                                   "https://h:x/",
                                   "https://h:-1/",
                                   "https://a b/",
                                   "https://h/a b",
                                   "https://ex\xc3\xa4mple.com/",
                                   "https://a\\@b/",
                                   "https://a,b/",
                                   "https://a;b/",
                                   "https://a%2fb/",
                                   "javascript:alert(1)"}) {
        EXPECT_THAT(refusal(text), HasSubstr("no URL that mkimg takes")) << text;
    }
}

TEST(Url, ControlBytesAreRefusedAndEscapedInTheMessage) {
    using namespace std::string_view_literals;
    for (const std::string_view text : {"https://h/\r\nHost: evil"sv, "https://h/a\nb"sv, "https://h\0.evil/"sv,
                                        "https://h/\x7f"sv, " https://h/"sv, "https://h/\t"sv}) {
        EXPECT_THAT(refusal(text), HasSubstr("control byte"));
        EXPECT_THAT(refusal(text), Not(HasSubstr("\r")));
    }
}

TEST(Url, QueriesAreNotShown) {
    EXPECT_EQ(Url::parse("https://cdn.example.com/blob?X-Amz-Signature=s3cret").redacted(),
              "https://cdn.example.com/blob");
    EXPECT_THAT(refusal("https://h:bad/?token=s3cret"), Not(HasSubstr("s3cret")));
    EXPECT_THAT(refusal("ftp://h/#s3cret"), Not(HasSubstr("s3cret")));
}

// RFC 3986 sections 5.4.1 and 5.4.2, but for those with another scheme. Fragments are never sent.
TEST(Url, ReferencesAreResolved) {
    const Url base = Url::parse("http://a/b/c/d;p?q");
    const std::pair<const char*, const char*> examples[] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g/"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {"g?y#s", "http://a/b/c/g?y"},
        {";x", "http://a/b/c/;x"},
        {"g;x", "http://a/b/c/g;x"},
        {"g;x?y#s", "http://a/b/c/g;x?y"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"g..", "http://a/b/c/g.."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/./x", "http://a/b/c/g?y/./x"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"g#s/./x", "http://a/b/c/g"},
        {"https://other:8443/x?y", "https://other:8443/x?y"},
    };
    for (const auto& [reference, resolved] : examples) {
        EXPECT_EQ(base.resolve(reference).str(), resolved) << reference;
    }
    EXPECT_THROW(base.resolve("g:h"), Error);
    EXPECT_THROW(base.resolve("http:g"), Error);  // RFC 3986 lets strict parsers refuse it
    EXPECT_THROW(base.resolve("//user@g/"), Error);
}

TEST(Url, ReferencesKeepThePortAndBrackets) {
    const Url base = Url::parse("http://[::1]:5000/v2/app/blobs/uploads/");
    EXPECT_EQ(base.resolve("/v2/x?_state=1").str(), "http://[::1]:5000/v2/x?_state=1");
    EXPECT_EQ(base.resolve("uuid?a:b").str(), "http://[::1]:5000/v2/app/blobs/uploads/uuid?a:b");
}

TEST(Url, LoopbackHostsAreExact) {
    for (const char* const host :
         {"127.0.0.1", "127.8.9.1", "127.255.255.255", "localhost", "LocalHost", "app.localhost", "::1"}) {
        EXPECT_TRUE(is_loopback(host)) << host;
    }
    for (const char* const host : {"localhost.example.com", "127.0.0.1.nip.io", "1270.0.0.1", "127.0.0", "128.0.0.1",
                                   "notlocalhost", "::2", "::", "0.0.0.0", "", "127.0.0.1 ", "2130706433"}) {
        EXPECT_FALSE(is_loopback(host)) << host;
    }
    // Other ways to write the address are brought into the usual one before anybody asks.
    EXPECT_TRUE(is_loopback(Url::parse("http://0x7f.1/").host));
}

TEST(PercentEncode, KeepsOnlyUnreserved) {
    EXPECT_EQ(percent_encode("AZaz09-._~"), "AZaz09-._~");
    EXPECT_EQ(percent_encode("repository:lib/app:pull,push"), "repository%3Alib%2Fapp%3Apull%2Cpush");
    EXPECT_EQ(percent_encode("a b+c&d=\xc3\xa4%\n"), "a%20b%2Bc%26d%3D%C3%A4%25%0A");
}

}  // namespace
}  // namespace mkimg::registry

#include "oci/reference.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mkimg::oci {
namespace {

const std::string hex = "7cc4b5aefd1d0cadf8d97d4350462ba51c694ebca145b08d7d41b41acc8db5aa";

struct Case {
    std::string text;
    std::string whole;
    std::string familiar;
};

// Most are from the tests of distribution's reference package.
const Case good[] = {
    {"debian", "docker.io/library/debian:latest", "debian:latest"},
    {"debian:12", "docker.io/library/debian:12", "debian:12"},
    {"library/debian", "docker.io/library/debian:latest", "debian:latest"},
    {"docker.io/debian", "docker.io/library/debian:latest", "debian:latest"},
    {"docker.io/library/debian:12", "docker.io/library/debian:12", "debian:12"},
    {"index.docker.io/debian", "docker.io/library/debian:latest", "debian:latest"},
    {"index.docker.io/user/app", "docker.io/user/app:latest", "user/app:latest"},
    {"user/app", "docker.io/user/app:latest", "user/app:latest"},
    {"docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"},
    {"docker/docker", "docker.io/docker/docker:latest", "docker/docker:latest"},
    {"localhost/app", "localhost/app:latest", "localhost/app:latest"},
    {"localhost:5000/app:1", "localhost:5000/app:1", "localhost:5000/app:1"},
    {"127.0.0.1:8000/docker/docker", "127.0.0.1:8000/docker/docker:latest", "127.0.0.1:8000/docker/docker:latest"},
    {"[::1]:5000/a/b:c", "[::1]:5000/a/b:c", "[::1]:5000/a/b:c"},
    {"[fd00::12]/a", "[fd00::12]/a:latest", "[fd00::12]/a:latest"},
    {"example.com/a", "example.com/a:latest", "example.com/a:latest"},
    {"EXAMPLE/a", "EXAMPLE/a:latest", "EXAMPLE/a:latest"},
    {"xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage:xn--n3h.com"},
    {"test:5000", "docker.io/library/test:5000", "test:5000"},
    {"host:443/a/b:tag@sha256:" + hex, "host:443/a/b:tag@sha256:" + hex, "host:443/a/b:tag@sha256:" + hex},
    {"debian@sha256:" + hex, "docker.io/library/debian@sha256:" + hex, "debian@sha256:" + hex},
    {"debian:12@sha256:" + hex, "docker.io/library/debian:12@sha256:" + hex, "debian:12@sha256:" + hex},
    {"docker.io/localhost/x", "docker.io/localhost/x:latest", "docker.io/localhost/x:latest"},
    {"docker.io/a.b/x", "docker.io/a.b/x:latest", "docker.io/a.b/x:latest"},
    {hex + ":1", "docker.io/library/" + hex + ":1", hex + ":1"},
    {"a:" + std::string(128, 't'), "docker.io/library/a:" + std::string(128, 't'), "a:" + std::string(128, 't')},
    {"a/" + std::string(253, 'b'), "docker.io/a/" + std::string(253, 'b') + ":latest",
     "a/" + std::string(253, 'b') + ":latest"},
};

TEST(Reference, NormalisesAndShortens) {
    for (const Case& c : good) {
        const Reference reference = Reference::parse(c.text);
        EXPECT_EQ(reference.str(), c.whole) << c.text;
        EXPECT_EQ(reference.familiar(), c.familiar) << c.text;
        EXPECT_EQ(Reference::parse(reference.str()), reference) << c.text;
        EXPECT_EQ(Reference::parse(reference.familiar()), reference) << c.text;
    }
}

TEST(Reference, Parts) {
    const Reference r = Reference::parse("host:443/a/b:tag@sha256:" + hex);
    EXPECT_EQ(r.registry, "host:443");
    EXPECT_EQ(r.repository, "a/b");
    EXPECT_EQ(r.tag, "tag");
    EXPECT_EQ(r.digest->hex(), hex);
    EXPECT_EQ(Reference::parse("debian@sha256:" + hex).tag, "");
}

TEST(Reference, Refuses) {
    const std::string long_part(256, 'a');
    const std::string bad[] = {"",
                               ":",
                               "@",
                               "/",
                               "a:",
                               ":tag",
                               "a@",
                               "@sha256:" + hex,
                               hex,
                               "a/",
                               "/a",
                               "a//b",
                               "-a",
                               "a-",
                               "_a",
                               "a_",
                               ".a",
                               "a.",
                               "a..b",
                               "a___b",
                               "a._b",
                               "a:b:c",
                               "a:-t",
                               "a:.t",
                               "a:" + std::string(129, 't'),
                               "a:t t",
                               "a b",
                               "a\n",
                               "\xC3\xA4",
                               "aa/asdf$$^/aa",
                               "foo_bar.com:8080/x",
                               "-host.com/a",
                               "host-.com/a",
                               "host..com/a",
                               "host:/a",
                               "host:x/a",
                               "host:65536/a",
                               "[::1/a",
                               "[]/a",
                               "[zz]/a",
                               "[::1]x/a",
                               "a@sha256:" + hex.substr(1),
                               "a@sha512:" + hex,
                               "a@md5:abc",
                               "a@sha256:" + hex + "@sha256:" + hex,
                               "http://docker.io/a",
                               "https://docker.io/a",
                               "docker.io/",
                               long_part + "/b",
                               std::string("a\0b", 3),
                               "../a",
                               "a/../b",
                               "./a",
                               "example.com/a:t@",
                               "a/$HOME"};
    for (const std::string& text : bad) {
        try {
            const Reference r = Reference::parse(text);
            ADD_FAILURE() << text << " was taken as " << r.str();
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::usage);
        }
    }
}

TEST(Reference, UpperCaseSaysWhatToWrite) {
    for (const char* text : {"Debian", "user/App:1", "example.com/App"}) {
        try {
            Reference::parse(text);
            ADD_FAILURE() << text;
        } catch (const Error& e) {
            EXPECT_NE(std::string(e.what()).find("lower-case"), std::string::npos) << e.what();
        }
    }
    try {
        Reference::parse("Debian:12");
    } catch (const Error& e) {
        EXPECT_NE(e.hint().find("\"debian\""), std::string::npos) << e.hint();
    }
}

}  // namespace
}  // namespace mkimg::oci

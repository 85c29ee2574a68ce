// Reading and sending blobs through breaks.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "registry/blob_reader.h"
#include "registry/upload.h"
#include "tests/unit/registry/fake_transport.h"

namespace mkimg::registry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string content = "0123456789";
const oci::Descriptor blob{"application/octet-stream", oci::digest_of(content), content.size(), {}, {}};
const std::string at = "https://r.example/v2/app/blobs/" + blob.digest.str();

class ReadBlob : public testing::Test {
  protected:
    std::string read(std::uint64_t offset = 0) {
        std::string text = content.substr(0, offset);
        read_blob(
            sources, blob, offset, [&](auto bytes) { text += as_text(bytes); }, registry.config.retries(),
            registry.cancel);
        return text;
    }
    std::vector<std::string> ranges() {
        std::vector<std::string> found;
        for (const auto& request : transport.sent()) {
            if (request.line == "GET " + at) found.push_back(request.header("range"));
        }
        return found;
    }
    static Response part(std::uint64_t from, std::uint64_t count, const std::string& range) {
        return {.status = 206, .headers = {{"content-range", range}}, .body = content.substr(from, count)};
    }

    FakeRegistry registry;
    FakeTransport& transport = registry.transport;
    std::vector<Repository> sources{registry.repository()};
};

TEST_F(ReadBlob, Whole) {
    transport.on("GET " + at, {.status = 200, .body = content});
    EXPECT_EQ(read(), content);
    EXPECT_THAT(ranges(), ElementsAre(""));
}

TEST_F(ReadBlob, GoesOnWhereItBroke) {
    transport.break_after_body(2);
    transport.on("GET " + at, {.status = 200, .body = "012"})
        .on("GET " + at, part(3, 2, "bytes 3-9/10"))
        .on("GET " + at, part(5, 5, "bytes 5-9/10"));
    EXPECT_EQ(read(), content);
    EXPECT_THAT(ranges(), ElementsAre("", "bytes=3-", "bytes=5-"));
}

TEST_F(ReadBlob, SkipsWhatItHasWhereTheServerBeginsAnew) {
    transport.on("GET " + at, {.status = 200, .body = content});
    EXPECT_EQ(read(4), content);
    EXPECT_THAT(ranges(), ElementsAre("bytes=4-"));
}

TEST_F(ReadBlob, AsksForTheRestOfWhatEndedEarly) {
    transport.on("GET " + at, {.status = 200, .body = "0123"}).on("GET " + at, part(4, 6, "bytes 4-9/10"));
    EXPECT_EQ(read(), content);
}

TEST_F(ReadBlob, WithoutRangesWhereTheyAreRefused) {
    transport.on("GET " + at, {.status = 416}).on("GET " + at, {.status = 200, .body = content});
    EXPECT_EQ(read(4), content);
    EXPECT_THAT(ranges(), ElementsAre("bytes=4-", ""));
}

TEST_F(ReadBlob, AnotherRangeThanWasAskedForIsRefused) {
    for (const char* range : {"bytes 3-9/10", "bytes 4-9/11", "bytes 4", "4-9/10", ""}) {
        FakeRegistry one;
        one.transport.on("GET " + at, part(4, 6, range));
        sources = {one.repository()};
        EXPECT_THROW(read(4), Error) << range;
    }
}

TEST_F(ReadBlob, MoreThanTheManifestSaysIsRefused) {
    transport.on("GET " + at, {.status = 200, .body = content + "x"});
    EXPECT_THROW(read(), Error);
    EXPECT_EQ(ranges().size(), 1U);
}

TEST_F(ReadBlob, GoesOnAtTheNextSource) {
    FakeRegistry mirror;
    mirror.transport.break_after_body(1);
    mirror.transport.on("GET " + at, {.status = 200, .body = "01234"}).on("GET " + at, {.status = 404});
    transport.on("GET " + at, part(5, 5, "bytes 5-9/10"));
    sources.insert(sources.begin(), mirror.repository());
    EXPECT_EQ(read(), content);
    EXPECT_THAT(ranges(), ElementsAre("bytes=5-"));
}

TEST_F(ReadBlob, WhatTheWriterThrowsEndsItAtOnce) {
    struct DiskFull {};
    transport.on("GET " + at, {.status = 200, .body = content});
    EXPECT_THROW(read_blob(
                     sources, blob, 0, [](auto) { throw DiskFull{}; }, registry.config.retries(), registry.cancel),
                 DiskFull);
    EXPECT_EQ(ranges().size(), 1U);
}

class UploadBlobTest : public testing::Test {
  protected:
    Transfer::State send(std::vector<std::string> mount_from = {}) {
        const UploadBlob wanted{blob, std::move(mount_from), [](std::uint64_t offset) -> std::unique_ptr<Source> {
                                    return std::make_unique<MemorySource>(std::string_view(content).substr(offset));
                                }};
        return upload(registry.repository(), wanted, registry.config, {}, registry.cancel);
    }
    static Response session(const std::string& location) {
        return {.status = 202, .headers = {{"location", location}}};
    }
    // What was sent after the HEAD that comes first.
    std::vector<std::string> lines() {
        std::vector<std::string> found = transport.lines();
        EXPECT_EQ(found.at(0), "HEAD " + at);
        found.erase(found.begin());
        return found;
    }

    FakeRegistry registry;
    FakeTransport& transport = registry.transport;
    const std::string post = "POST https://r.example/v2/app/blobs/uploads/";
    const std::string digest = percent_encode(blob.digest.str());
};

TEST_F(UploadBlobTest, NothingIsSentOfWhatIsThere) {
    transport.on("HEAD " + at, {.status = 200});
    EXPECT_EQ(send(), Transfer::State::exists);
    EXPECT_THAT(lines(), ElementsAre());
}

TEST_F(UploadBlobTest, OneRequestBeginsAndOneSendsItAll) {
    transport.on(post, session("/upload/1?state=x"));
    const std::string put = "PUT https://r.example/upload/1?state=x&digest=" + digest;
    transport.on(put, {.status = 201});
    EXPECT_EQ(send(), Transfer::State::done);
    EXPECT_THAT(lines(), ElementsAre(post, put));
    EXPECT_EQ(transport.sent().back().body, content);
}

TEST_F(UploadBlobTest, IsMountedWhereAnotherRepositoryHasIt) {
    const std::string first = post + "?mount=" + blob.digest.str() + "&from=other%2Fone";
    const std::string second = post + "?mount=" + blob.digest.str() + "&from=base";
    transport.on(first, {.status = 403}).on(second, {.status = 201});
    EXPECT_EQ(send({"other/one", "base"}), Transfer::State::mounted);
    EXPECT_THAT(lines(), ElementsAre(first, second));
}

TEST_F(UploadBlobTest, AMountThatBecomesAnUploadIsUsed) {
    transport.on(post + "?mount=" + blob.digest.str() + "&from=base", session("1"));
    const std::string put = "PUT https://r.example/v2/app/blobs/uploads/1?digest=" + digest;
    transport.on(put, {.status = 201});
    EXPECT_EQ(send({"base"}), Transfer::State::done);
    EXPECT_EQ(lines().back(), put);
}

TEST_F(UploadBlobTest, ALocationElsewhereGetsTheBytesAndNoPassword) {
    transport.on(post, {.status = 401, .headers = {{"www-authenticate", "Basic realm=r"}}})
        .on(post, session("https://storage.example/1"));
    transport.on("PUT https://storage.example/1?digest=" + digest, {.status = 201});
    EXPECT_EQ(send(), Transfer::State::done);
    EXPECT_EQ(transport.sent().back().header("authorization"), "");
    EXPECT_NE(transport.sent()[2].header("authorization"), "");
}

TEST_F(UploadBlobTest, ALocationThatLeavesHttpsIsNotFollowed) {
    transport.on(post, session("http://r.example/1"));
    EXPECT_THROW(send(), Error);
    EXPECT_EQ(lines(), std::vector{post});
}

TEST_F(UploadBlobTest, GoesOnWhereItBroke) {
    const std::string session_url = "https://r.example/upload/1";
    transport.on(post, session("/upload/1"));
    transport.on("PUT " + session_url + "?digest=" + digest, failing(true))
        .on("PUT " + session_url + "?digest=" + digest, {.status = 201});
    transport.on("GET " + session_url, {.status = 204, .headers = {{"range", "0-3"}}});
    transport.on("PATCH " + session_url, {.status = 202});
    EXPECT_EQ(send(), Transfer::State::done);
    std::vector<std::string> patched;
    for (const auto& request : transport.sent()) {
        if (request.line.starts_with("PATCH")) patched = {request.header("content-range"), request.body};
    }
    EXPECT_THAT(patched, ElementsAre("4-9", "456789"));
}

TEST_F(UploadBlobTest, AnAnswerThatWasLostIsNotAnUploadThatWas) {
    transport.on("HEAD " + at, {.status = 404}).on("HEAD " + at, {.status = 200});
    transport.on(post, session("/upload/1"));
    transport.on("PUT https://r.example/upload/1?digest=" + digest, failing(true));
    EXPECT_EQ(send(), Transfer::State::done);
    EXPECT_EQ(lines().size(), 3U);
}

TEST_F(UploadBlobTest, ASessionThatTheRegistryForgotIsBegunAnew) {
    transport.on(post, session("/upload/1")).on(post, session("/upload/2"));
    transport.on("PUT https://r.example/upload/1?digest=" + digest, {.status = 404});
    transport.on("PUT https://r.example/upload/2?digest=" + digest, {.status = 201});
    EXPECT_EQ(send(), Transfer::State::done);
}

TEST_F(UploadBlobTest, ABodyThatIsTooLargeGoesInChunks) {
    const std::string put = "PUT https://r.example/upload/1?digest=" + digest;
    transport.on(post, session("/upload/1"));
    transport.on(put, {.status = 413}).on(put, {.status = 201});
    transport.on("PATCH https://r.example/upload/1", session("/upload/1"));
    EXPECT_EQ(send(), Transfer::State::done);
    EXPECT_EQ(transport.sent().back().body, "");
}

TEST_F(UploadBlobTest, WhatTheRegistryRefusesIsNotSentAgain) {
    transport.on(post, {.status = 403});
    EXPECT_THROW(send(), HttpError);
    EXPECT_EQ(lines(), std::vector{post});
}

TEST_F(UploadBlobTest, TheDigestThatTheRegistryTakesItAsMustBeOurs) {
    transport.on(post, session("/upload/1"));
    transport.on("PUT https://r.example/upload/1?digest=" + digest,
                 {.status = 201, .headers = {{"docker-content-digest", oci::digest_of("other").str()}}});
    EXPECT_THROW(send(), Error);
}

class UploadGrowing : public UploadBlobTest {
  protected:
    UploadGrowing() {
        dir.write("blob", content);
        file = open_path(dir.path("blob"), O_RDONLY);
        transport.on(post, session("/upload/1"));
    }
    std::optional<Transfer::State> send() { return upload_growing(registry.repository(), growing, {}); }

    TempDir dir;
    UniqueFd file;
    GrowingBlob growing;
    const std::string patch = "PATCH https://r.example/upload/1";
    const std::string put = "PUT https://r.example/upload/1?digest=" + digest;
};

TEST_F(UploadGrowing, WhatIsWholeGoesTheOtherWay) {
    growing.grow(file.get(), content.size());
    growing.finish(blob);
    EXPECT_EQ(send(), std::nullopt);
    EXPECT_TRUE(transport.lines().empty());
}

TEST_F(UploadGrowing, IsNamedWhenItIsWhole) {
    transport.on(patch, session("/upload/2"));
    transport.on("PUT https://r.example/upload/2?digest=" + digest, {.status = 201});
    growing.grow(file.get(), 3);
    std::thread maker([&] {
        while (transport.lines().empty()) std::this_thread::yield();
        for (std::uint64_t bytes = 4; bytes <= content.size(); ++bytes) growing.grow(file.get(), bytes);
        growing.finish(blob);
    });
    const auto state = send();
    maker.join();
    EXPECT_EQ(state, Transfer::State::done);
    const auto sent = transport.sent();
    ASSERT_GE(sent.size(), 3U);
    EXPECT_EQ(sent[0].line, post);
    EXPECT_EQ(sent[sent.size() - 2].body, content);
    EXPECT_EQ(sent.back().body, "");
}

TEST_F(UploadGrowing, EndsWhereTheRegistryHasIt) {
    transport.on("HEAD " + at, {.status = 200}).on("DELETE https://r.example/upload/1", {.status = 204});
    growing.grow(file.get(), 5);
    std::thread maker([&] {
        while (transport.lines().empty()) std::this_thread::yield();  // known before, it would go the other way
        growing.finish(blob);
    });
    const auto state = send();
    maker.join();
    EXPECT_EQ(state, Transfer::State::exists);
    EXPECT_THAT(transport.lines(), ElementsAre(post, "HEAD " + at, "DELETE https://r.example/upload/1"));
}

TEST_F(UploadGrowing, IsGivenUpWhereItDoesNotWorkOut) {
    transport.on(patch, {.status = 405});
    growing.grow(file.get(), content.size());
    std::thread maker([&] {
        while (transport.lines().empty()) std::this_thread::yield();
        growing.finish(blob);
    });
    const auto state = send();
    maker.join();
    EXPECT_EQ(state, std::nullopt);
}

TEST_F(UploadGrowing, ABlobThatIsNeverMadeEndsIt) {
    growing.grow(file.get(), 5);
    std::thread maker([&] {
        while (transport.lines().empty()) std::this_thread::yield();
        growing.fail();
    });
    try {
        send();
        ADD_FAILURE() << "it was sent";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::cancelled);
    }
    maker.join();
}

}  // namespace
}  // namespace mkimg::registry

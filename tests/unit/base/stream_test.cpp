#include "base/stream.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mkimg {
namespace {

// FIPS 180-2, appendix B, and RFC 6234's million of "a".
TEST(Sha256, KnownAnswers) {
    EXPECT_EQ(to_hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(to_hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(to_hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    Sha256 hash;
    for (int i = 0; i < 1000; ++i) hash.update(std::string(1000, 'a'));
    EXPECT_EQ(to_hex(hash.finish()), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, StartsAfreshAfterFinish) {
    Sha256 hash;
    hash.update("abc");
    const auto first = hash.finish();
    hash.update("abc");
    EXPECT_EQ(hash.finish(), first);
    Sha256 moved = std::move(hash);
    moved.update("abc");
    EXPECT_EQ(moved.finish(), first);
}

TEST(HashingSink, HashesWhatPassesAndFinishesTheNext) {
    class Finished final : public Sink {
      public:
        void write(std::span<const std::byte> bytes) override { text += as_text(bytes); }
        void finish() override { ++finished; }
        std::string text;
        int finished = 0;
    };
    Finished next;
    HashingSink sink(&next);
    sink.write(as_bytes("ab"));
    sink.write(as_bytes("c"));
    sink.finish();
    EXPECT_EQ(next.text, "abc");
    EXPECT_EQ(next.finished, 1);
    EXPECT_EQ(sink.size(), 3U);
    EXPECT_EQ(sink.digest(), sha256("abc"));
}

TEST(HashingSource, HashesWhatIsRead) {
    MemorySource memory("abcdef");
    HashingSource source(memory);
    std::byte buffer[4];
    EXPECT_EQ(read_full(source, buffer), 4U);
    EXPECT_EQ(source.size(), 4U);
    NullSink sink;
    EXPECT_EQ(copy(source, sink), 2U);
    EXPECT_EQ(source.digest(), sha256("abcdef"));
}

TEST(LimitedSource, AllowsExactlyTheLimit) {
    NullSink sink;
    {
        MemorySource memory("1234");
        LimitedSource source(memory, 4, "input");
        EXPECT_EQ(copy(source, sink), 4U);
    }
    MemorySource memory("12345");
    LimitedSource source(memory, 4, "the upload");
    try {
        copy(source, sink);
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::corrupt);
        EXPECT_NE(std::string(e.what()).find("the upload"), std::string::npos);
    }
}

TEST(MemorySource, GivesEverythingOnce) {
    MemorySource empty("");
    std::byte one[1];
    EXPECT_EQ(empty.read(one), 0U);
    const std::string text(1000000, 'x');
    MemorySource source(text);
    StringSink sink;
    EXPECT_EQ(copy(source, sink), text.size());
    EXPECT_EQ(sink.take(), text);
}

TEST(FdStreams, GoThroughAPipe) {
    const Pipe pipe = make_pipe();
    FdSink sink(pipe.write.get());
    sink.write(as_bytes("hello"));
    FdSource source(pipe.read.get());
    std::byte buffer[16];
    const std::size_t n = source.read(buffer);
    EXPECT_EQ(as_text(std::span(buffer).first(n)), "hello");
}

}  // namespace
}  // namespace mkimg

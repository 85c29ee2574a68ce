#include "layers/layer_store.h"

#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <thread>

#include "base/error.h"
#include "layers/fsck.h"
#include "layers/tar_writer.h"
#include "tests/unit/temp_dir.h"

namespace mkimg::layers {
namespace {

using oci::ChainId;
using oci::DiffId;

ErrorCode code_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& e) {
        return e.code();
    }
    ADD_FAILURE() << "nothing was thrown";
    return ErrorCode::internal;
}

void put(int dir, const std::string& name, std::string_view text, std::int64_t mtime = 1000) {
    const UniqueFd file = open_at(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    write_full(file.get(), text);
    const timespec times[2] = {{mtime, 0}, {mtime, 0}};
    ASSERT_EQ(::futimens(file.get(), times), 0);
}

std::string get(int dir, const std::string& name) {
    return read_all(open_at(dir, name, O_RDONLY).get(), 1U << 20U, name);
}

// A tar of one file, byte by byte as the writer of another tool could have made it.
std::string tar_of(const std::string& path, std::string_view content) {
    StringSink sink;
    TarWriter writer(sink);
    Entry entry;
    entry.path = path;
    entry.mode = 0644;
    entry.size = content.size();
    entry.mtime = 77;
    MemorySource source(content);
    writer.add(entry, &source);
    writer.finish();
    return sink.take() + std::string(512 * 16, '\0');  // more padding than we would write
}

class LayerStoreTest : public testing::Test {
  protected:
    std::optional<Layer> commit_file(const std::optional<ChainId>& parent, const std::string& name,
                                     std::string_view text, std::int64_t mtime = 1000,
                                     const CommitOptions& options = {}) {
        Snapshot snapshot = layers.prepare(parent);
        put(snapshot.upper.get(), name, text, mtime);
        return layers.commit(std::move(snapshot), options);
    }
    std::string tar(const Layer& layer) {
        StringSink sink;
        layers.write_tar(layer, sink);
        return sink.take();
    }
    std::size_t directories() const { return list_directory(store.layers_fd()).size(); }

    TempDir dir;
    oci::Store store{dir.path("store")};
    ThreadPool pool{2};
    LayerStore layers{store, pool};
};

TEST_F(LayerStoreTest, ASnapshotBecomesALayer) {
    const auto base = commit_file(std::nullopt, "a", "one");
    ASSERT_TRUE(base);
    EXPECT_EQ(base->chain.bytes(), base->diff.bytes());
    EXPECT_EQ(base->entries, 1U);
    EXPECT_EQ(base->tar_size % 512, 0U);
    const auto top = commit_file(base->chain, "b", "two");
    EXPECT_EQ(top->chain, oci::chain_id(base->chain, top->diff));
    EXPECT_EQ(top->parent, base->chain);
    EXPECT_EQ(DiffId(sha256(tar(*top))), top->diff);
    EXPECT_EQ(tar(*top).size(), top->tar_size);

    const auto lowers = layers.open_lowers(top->chain);
    ASSERT_EQ(lowers.size(), 2U);
    EXPECT_EQ(get(lowers[0].get(), "b"), "two");
    EXPECT_EQ(get(lowers[1].get(), "a"), "one");
    EXPECT_TRUE(list_directory(store.tmp_fd()).empty());
    EXPECT_EQ(list_directory(open_at(store.layers_fd(), top->chain.hex(), O_RDONLY).get()).size(), 1U);  // diff alone

    LayerStore again(store, pool);
    EXPECT_EQ(again.find(top->chain)->diff, top->diff);
    EXPECT_EQ(again.stack(top->chain).size(), 2U);
    EXPECT_EQ(again.stack(top->chain)[0].chain, base->chain);
}

TEST_F(LayerStoreTest, NothingChangedIsNoLayer) {
    EXPECT_FALSE(layers.commit(layers.prepare(std::nullopt), {}));
    const auto base = commit_file(std::nullopt, "a", "one");
    EXPECT_FALSE(layers.commit(layers.prepare(base->chain), {}));
    EXPECT_TRUE(list_directory(store.tmp_fd()).empty());
    EXPECT_EQ(directories(), 1U);
}

TEST_F(LayerStoreTest, TheRootsMetadataIsPartOfTheImage) {
    Snapshot first = layers.prepare(std::nullopt);
    EXPECT_EQ(stat_fd(first.upper.get()).st_mode & 07777U, 0755U);
    ASSERT_EQ(::fchmod(first.upper.get(), 01777), 0);
    ASSERT_EQ(::fchown(first.upper.get(), 3, 4), 0);
    ASSERT_EQ(::fsetxattr(first.upper.get(), "user.note", "x", 1, 0), 0);
    const auto base = layers.commit(std::move(first), {});
    ASSERT_TRUE(base);
    EXPECT_EQ(base->entries, 1U);
    EXPECT_EQ(tar(*base).substr(1024, 3), std::string("./\0", 3));  // behind the record for the attribute

    Snapshot second = layers.prepare(base->chain);
    const struct stat st = stat_fd(second.upper.get());
    EXPECT_EQ(st.st_mode & 07777U, 01777U);
    EXPECT_EQ(st.st_uid, 3U);
    EXPECT_EQ(st.st_gid, 4U);
    char value[8];
    EXPECT_EQ(::fgetxattr(second.upper.get(), "user.note", value, sizeof value), 1);
    put(second.upper.get(), "f", "x");
    const auto top = layers.commit(std::move(second), {});
    EXPECT_EQ(top->entries, 1U);  // the file; the root is as it was
    EXPECT_EQ(tar(*top).substr(0, 2), std::string("f\0", 2));

    Snapshot third = layers.prepare(top->chain);
    ASSERT_EQ(::fremovexattr(third.upper.get(), "user.note"), 0);
    EXPECT_EQ(layers.commit(std::move(third), {})->entries, 1U);
}

TEST_F(LayerStoreTest, TheSameContentIsTheSameLayer) {
    const auto first = commit_file(std::nullopt, "a", "one");
    const auto second = commit_file(std::nullopt, "a", "one");
    EXPECT_EQ(first->chain, second->chain);
    EXPECT_EQ(directories(), 1U);
}

TEST_F(LayerStoreTest, EarlyCutOffTakesALayerThatDiffersInTimesAlone) {
    const auto first = commit_file(std::nullopt, "a", "one", 1000);
    EXPECT_EQ(commit_file(std::nullopt, "a", "one", 2000)->chain, first->chain);
    EXPECT_EQ(directories(), 1U);
    EXPECT_NE(commit_file(std::nullopt, "a", "two", 2000)->chain, first->chain);
    EXPECT_NE(commit_file(std::nullopt, "b", "one", 2000)->chain, first->chain);
    EXPECT_NE(commit_file(first->chain, "a", "one", 2000)->chain, first->chain);
    EXPECT_NE(commit_file(std::nullopt, "a", "one", 3000, {std::nullopt, false})->chain, first->chain);
    Snapshot other_mode = layers.prepare(std::nullopt);
    put(other_mode.upper.get(), "a", "one", 1000);
    ASSERT_EQ(::fchmodat(other_mode.upper.get(), "a", 0600, 0), 0);
    EXPECT_NE(layers.commit(std::move(other_mode), {})->chain, first->chain);
}

TEST_F(LayerStoreTest, EarlyCutOffTakesNoForeignLayer) {
    const std::string bytes = tar_of("a", "one");
    MemorySource source(bytes);
    const Layer foreign = layers.add(std::nullopt, source, std::nullopt);
    EXPECT_NE(commit_file(std::nullopt, "a", "one", 78)->chain, foreign.chain);
}

TEST_F(LayerStoreTest, TheEpochBoundsTimes) {
    const auto clamped = commit_file(std::nullopt, "a", "one", 5000, {3000, false});
    const auto at = commit_file(std::nullopt, "a", "one", 3000, {std::nullopt, false});
    EXPECT_EQ(clamped->chain, at->chain);
    const auto lowers = layers.open_lowers(clamped->chain);
    struct stat st {};
    ASSERT_EQ(::fstatat(lowers[0].get(), "a", &st, 0), 0);
    EXPECT_EQ(st.st_mtime, 3000);  // the directory equals the tar
}

TEST_F(LayerStoreTest, BlobsAreMadeOnce) {
    const auto layer = commit_file(std::nullopt, "a", std::string(3U << 20U, 'x'));
    for (const Compression format : {Compression::none, Compression::gzip, Compression::zstd}) {
        const CompressionSpec spec{format};
        EXPECT_FALSE(layers.find_blob(layer->diff, spec));
        std::uint64_t seen = 0;
        const auto watch = [&](int file, std::uint64_t bytes) {
            EXPECT_EQ(stat_fd(file).st_size, static_cast<off_t>(bytes));
            seen = bytes;
        };
        const auto blob = layers.blob(*layer, spec, watch);
        EXPECT_EQ(seen, blob.size);
        seen = 0;
        const auto found = layers.find_blob(layer->diff, spec);
        ASSERT_TRUE(found);
        EXPECT_EQ(found->digest, blob.digest);
        EXPECT_EQ(found->size, blob.size);
        const UniqueFd file = store.open_blob(blob.digest);
        FdSource bytes(file.get());
        Compression detected = Compression::xz;
        const auto plain = decompress(bytes, &detected);
        EXPECT_EQ(detected, format);
        HashingSink hash;
        copy(*plain, hash);
        hash.finish();
        EXPECT_EQ(DiffId(hash.digest()), layer->diff);
        EXPECT_EQ(layers.blob(*layer, spec, watch).digest, blob.digest);
        EXPECT_EQ(seen, 0U);
    }
    EXPECT_EQ(layers.blob(*layer, {Compression::none}).digest.bytes(), layer->diff.bytes());
}

TEST_F(LayerStoreTest, ABlobThatIsGoneIsMadeAgain) {
    const auto layer = commit_file(std::nullopt, "a", "one");
    const auto blob = layers.blob(*layer, {});
    store.remove_blob(blob.digest);
    EXPECT_FALSE(layers.find_blob(layer->diff, {}));
    EXPECT_EQ(layers.blob(*layer, {}).digest, blob.digest);
    EXPECT_TRUE(store.has_blob(blob.digest));
}

TEST_F(LayerStoreTest, DamageIsNeverPassedOn) {
    const auto layer = commit_file(std::nullopt, "a", "one");
    const auto lowers = layers.open_lowers(layer->chain);
    put(lowers[0].get(), "a", "two");
    EXPECT_EQ(code_of([&] { tar(*layer); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { layers.blob(*layer, {}); }), ErrorCode::corrupt);
    EXPECT_TRUE(list_directory(store.blobs_fd()).empty());
    remove_tree(store.layers_fd(), layer->chain.hex());
    EXPECT_EQ(code_of([&] { tar(*layer); }), ErrorCode::corrupt);
    EXPECT_EQ(code_of([&] { layers.prepare(layer->chain); }), ErrorCode::corrupt);
    EXPECT_TRUE(list_directory(store.tmp_fd()).empty());
}

TEST_F(LayerStoreTest, ForeignLayersKeepTheirBytes) {
    const std::string bytes = tar_of("etc/motd", "hello");
    const DiffId diff(sha256(bytes));
    for (const Compression format : {Compression::none, Compression::gzip, Compression::zstd}) {
        oci::Store own(dir.path(std::string(name_of(format))));
        LayerStore fresh(own, pool);
        StringSink packed;
        const auto compressor = compress(packed, {format}, pool);
        compressor->write(as_bytes(bytes));
        compressor->finish();
        MemorySource source(packed.text());
        const Layer layer = fresh.add(std::nullopt, source, diff);
        EXPECT_EQ(layer.diff, diff);
        EXPECT_EQ(layer.tar_size, bytes.size());
        StringSink out;
        fresh.write_tar(layer, out);
        EXPECT_EQ(out.text(), bytes);
        const auto lowers = fresh.open_lowers(layer.chain);
        EXPECT_EQ(get(lowers[0].get(), "etc/motd"), "hello");
        // What came compressed is kept as it came.
        if (format != Compression::none) {
            EXPECT_EQ(own.read_blob(fresh.find_blob(diff, {format})->digest), packed.text());
        }
        EXPECT_EQ(list_directory(own.blobs_fd()).size(), 1U);
    }
}

TEST_F(LayerStoreTest, AForeignLayerTakesWhatItDoesntNameFromBelow) {
    Snapshot snapshot = layers.prepare(std::nullopt);
    make_directory(snapshot.upper.get(), "tmp", 01777);
    const auto base = layers.commit(std::move(snapshot), {});
    const std::string bytes = tar_of("tmp/x", "one");
    MemorySource source(bytes);
    const Layer top = layers.add(base->chain, source, std::nullopt);
    const auto lowers = layers.open_lowers(top.chain);
    struct stat st {};
    ASSERT_EQ(::fstatat(lowers[0].get(), "tmp", &st, 0), 0);
    EXPECT_EQ(st.st_mode & 07777U, 01777U);
    EXPECT_TRUE(fsck(store, pool, {}).empty());
}

TEST_F(LayerStoreTest, AddKeepsNoSecondBlobAndReadsNothingTwice) {
    const std::string bytes = tar_of("a", "one");
    const DiffId diff(sha256(bytes));
    const oci::Digest digest = store.put_blob(bytes);
    layers.record_blob(diff, {Compression::none}, {digest, bytes.size()});
    MemorySource source(bytes);
    const Layer layer = layers.add(std::nullopt, source, diff);
    EXPECT_EQ(list_directory(store.blobs_fd()).size(), 1U);
    class NoSource final : public Source {
      public:
        std::size_t read(std::span<std::byte>) override { throw Error(ErrorCode::internal, "was read"); }
    };
    NoSource none;
    EXPECT_EQ(layers.add(std::nullopt, none, diff).chain, layer.chain);
}

TEST_F(LayerStoreTest, AddRefusesOtherContentAndLeavesNothing) {
    const std::string bytes = tar_of("a", "one");
    MemorySource source(bytes);
    EXPECT_EQ(code_of([&] { layers.add(std::nullopt, source, DiffId(sha256("other"))); }), ErrorCode::corrupt);
    MemorySource cut(std::string_view(bytes).substr(0, 700));
    EXPECT_THROW(layers.add(std::nullopt, cut, std::nullopt), Error);
    EXPECT_EQ(directories(), 0U);
    EXPECT_TRUE(list_directory(store.blobs_fd()).empty());
    EXPECT_TRUE(list_directory(store.tmp_fd()).empty());
}

TEST_F(LayerStoreTest, ALayerWithoutWhatIsBelowIsNotFound) {
    const auto base = commit_file(std::nullopt, "a", "one");
    const auto top = commit_file(base->chain, "b", "two");
    store.db().execute("DELETE FROM layers WHERE chain=?1", {base->chain.str()});
    LayerStore again(store, pool);
    EXPECT_FALSE(again.find(top->chain));
    EXPECT_EQ(code_of([&] { again.stack(top->chain); }), ErrorCode::not_found);
    EXPECT_FALSE(again.find(ChainId(sha256("nothing"))));
}

TEST_F(LayerStoreTest, WhatACrashLeftInTheWayIsReplaced) {
    const auto layer = commit_file(std::nullopt, "a", "one");
    store.db().execute("DELETE FROM layers", {});
    put(open_at(store.layers_fd(), layer->chain.hex() + "/diff", O_RDONLY).get(), "a", "half");
    LayerStore again(store, pool);
    Snapshot snapshot = again.prepare(std::nullopt);
    put(snapshot.upper.get(), "a", "one");
    EXPECT_EQ(again.commit(std::move(snapshot), {})->chain, layer->chain);
    EXPECT_EQ(get(again.open_lowers(layer->chain)[0].get(), "a"), "one");
    EXPECT_TRUE(list_directory(store.tmp_fd()).empty());
}

TEST_F(LayerStoreTest, LayersThatWereNotSyncedAreForgottenAfterARestart) {
    const auto kept = commit_file(std::nullopt, "a", "one");
    store.sync();
    const auto lost = commit_file(kept->chain, "b", "two");
    store.db().execute("UPDATE meta SET value='another' WHERE key='boot'", {});
    oci::Store reopened(dir.path("store"));
    LayerStore again(reopened, pool);
    EXPECT_TRUE(again.find(kept->chain));
    EXPECT_FALSE(again.find(lost->chain));
}

TEST_F(LayerStoreTest, UseIsRecorded) {
    const auto layer = commit_file(std::nullopt, "a", "one");
    store.db().execute("UPDATE layers SET last_used=1", {});
    { EXPECT_TRUE(LayerStore(store, pool).find(layer->chain)); }
    std::int64_t used = 0;
    store.db().execute("SELECT last_used FROM layers", {}, [&](const Row& row) { used = row.integer(0); });
    EXPECT_GT(used, 1);
}

TEST_F(LayerStoreTest, TheMergedTreeIsOverlaysOwn) {
    const auto base = commit_file(std::nullopt, "a", "one");
    Snapshot snapshot = layers.prepare(base->chain);
    ASSERT_EQ(::mknodat(snapshot.upper.get(), "a", S_IFCHR, 0), 0) << "needs root";  // a whiteout
    put(snapshot.upper.get(), "b", "two");
    const auto top = layers.commit(std::move(snapshot), {});
    EXPECT_EQ(top->entries, 2U);
    const UniqueFd view = layers.mount_view(top->chain);
    const UniqueFd root = open_at(view.get(), ".", O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(get(root.get(), "b"), "two");
    EXPECT_EQ(list_directory(root.get()).size(), 1U);
    EXPECT_THROW(open_at(root.get(), "c", O_WRONLY | O_CREAT, 0644), Error);
}

TEST_F(LayerStoreTest, ManyThreadsCommitTheSameAndOtherLayers) {
    const auto base = commit_file(std::nullopt, "base", "0");
    std::vector<std::thread> threads;
    std::atomic<int> failures{0};
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&, t] {
            try {
                for (int i = 0; i < 10; ++i) {
                    const auto same = commit_file(base->chain, "same", std::to_string(i));
                    layers.blob(*same, {Compression::zstd});
                    const auto mine = commit_file(same->chain, "mine", std::to_string(t));
                    layers.stack(mine->chain);
                }
            } catch (const std::exception& e) {
                ADD_FAILURE() << e.what();
                ++failures;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(failures, 0);
    EXPECT_EQ(directories(), 1U + 10U + 10U * 8U);
    EXPECT_TRUE(list_directory(store.tmp_fd()).empty());
}

}  // namespace
}  // namespace mkimg::layers

// prune and fsck over a small store with every kind of thing in it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "base/error.h"
#include "layers/fsck.h"
#include "layers/layer_store.h"
#include "layers/prune.h"
#include "layers/tar_writer.h"
#include "layers/usage.h"
#include "tests/unit/temp_dir.h"

namespace mkimg::layers {
namespace {

using oci::ChainId;
using oci::Digest;

constexpr std::int64_t day = 24 * 3600;

class StoreCare : public testing::Test {
  protected:
    Layer commit(const std::optional<ChainId>& parent, const std::string& name, const std::string& text) {
        LayerStore layers(store, pool);
        Snapshot snapshot = layers.prepare(parent);
        write_full(open_at(snapshot.upper.get(), name, O_WRONLY | O_CREAT, 0644).get(), std::string_view(text));
        return *layers.commit(std::move(snapshot), {});
    }
    Layer add_foreign(const std::optional<ChainId>& parent, const std::string& name, const std::string& text) {
        StringSink sink;
        TarWriter writer(sink);
        Entry entry{.path = name, .mode = 0644, .size = text.size()};
        MemorySource content(text);
        writer.add(entry, &content);
        writer.finish();
        const std::string bytes = sink.take() + std::string(1024, '\0');
        MemorySource source(bytes);
        return LayerStore(store, pool).add(parent, source, std::nullopt);
    }
    Digest image(const std::vector<Layer>& stack, const std::string& author) {
        oci::ImageConfig config;
        config.author = author;
        for (const Layer& layer : stack) config.diff_ids.push_back(layer.diff);
        const Digest id = store.put_blob(config.to_json());
        store.add_image(id);
        return id;
    }
    void tag(const char* name, const Digest& id) { store.tag(oci::Reference::parse(name), id); }
    void cache(const std::string& key, const std::optional<ChainId>& result, std::int64_t age) {
        const auto then = static_cast<std::int64_t>(std::time(nullptr)) - age;
        store.db().execute("INSERT INTO cache VALUES(?1, NULL, 'd', ?2, '', ?3, ?3)",
                           {key, result ? SqlValue(result->str()) : SqlValue(nullptr), then});
    }
    // Everything now in the store was last used so long ago.
    void age_all(std::int64_t age) {
        const auto then = static_cast<std::int64_t>(std::time(nullptr)) - age;
        for (const char* sql : {"UPDATE layers SET last_used=?1", "UPDATE blobs SET last_used=?1",
                                "UPDATE images SET created=?1", "UPDATE memo SET last_used=?1"}) {
            store.db().execute(sql, {then});
        }
    }
    // Not by find(), which marks the layer as used.
    bool has(const Layer& layer) {
        bool found = false;
        store.db().execute("SELECT 1 FROM layers WHERE chain=?1", {layer.chain.str()},
                           [&](const Row&) { found = true; });
        return found;
    }
    std::int64_t count(const std::string& table) {
        std::int64_t rows = -1;
        store.db().execute("SELECT count(*) FROM " + table, {}, [&](const Row& row) { rows = row.integer(0); });
        return rows;
    }
    std::size_t files(int fd) const { return list_directory(fd).size(); }
    std::vector<Finding> check(bool repair = false) { return fsck(store, pool, {repair}); }

    TempDir dir;
    oci::Store store{dir.path("store")};
    ThreadPool pool{2};
};

TEST_F(StoreCare, PruneKeepsImagesWithNamesAndWhatTheCacheUsedThisWeek) {
    const Layer base = add_foreign(std::nullopt, "base", "0");
    const Layer named = commit(base.chain, "n", "1");
    const Layer cached = commit(base.chain, "c", "2");
    const Layer old = commit(cached.chain, "o", "3");
    tag("app", image({base, named}, "app"));
    const Digest unnamed = image({base, cached}, "unnamed");
    LayerStore(store, pool).blob(named, {});
    LayerStore(store, pool).blob(old, {});
    store.db().execute("INSERT INTO memo VALUES('k', 'old', 'v', 0)", {});
    age_all(8 * day);
    cache("recent", cached.chain, 6 * day);
    cache("old", old.chain, 8 * day);
    cache("empty", std::nullopt, 1 * day);

    PruneOptions dry;
    dry.dry_run = true;
    const Pruned planned = prune(store, dry);
    EXPECT_EQ(count("layers"), 4);
    const Pruned done = prune(store, {});
    EXPECT_EQ(planned.bytes, done.bytes);
    EXPECT_EQ(planned.layers, done.layers);
    EXPECT_EQ(planned.cache_records, done.cache_records);
    EXPECT_EQ(done.images, (std::vector<Digest>{unnamed}));
    EXPECT_EQ(done.layers, 1U);
    EXPECT_EQ(done.cache_records, 1U);
    EXPECT_GT(done.bytes, 0U);
    EXPECT_TRUE(has(base));
    EXPECT_TRUE(has(named));
    EXPECT_TRUE(has(cached));
    EXPECT_FALSE(has(old));
    EXPECT_EQ(count("cache"), 2);
    EXPECT_EQ(count("memo"), 0);
    EXPECT_TRUE(store.find_image("app"));
    EXPECT_FALSE(store.find_image(unnamed.str()));
    // Left are the config, the foreign layer's blob and the named layer's.
    EXPECT_EQ(files(store.blobs_fd()), 3U);
    EXPECT_EQ(files(store.layers_fd()), 3U);
    EXPECT_TRUE(check().empty());
}

TEST_F(StoreCare, PruneAllKeepsNothingButImagesWithNames) {
    const Layer base = commit(std::nullopt, "base", "0");
    const Layer named = commit(base.chain, "n", "1");
    const Layer cached = commit(named.chain, "c", "2");
    tag("app", image({base, named}, "app"));
    store.put_blob("a manifest that a build has read");
    cache("recent", cached.chain, 0);
    cache("of the image", named.chain, 0);
    write_full(open_at(store.logs_fd(), "x.log", O_WRONLY | O_CREAT, 0600).get(), std::string_view("log"));
    const Pruned done = prune(store, {.all = true});
    EXPECT_EQ(done.layers, 1U);
    EXPECT_EQ(done.logs, 1U);
    EXPECT_EQ(done.cache_records, 2U);
    EXPECT_EQ(files(store.blobs_fd()), 1U);
    EXPECT_TRUE(has(named));
    EXPECT_TRUE(check().empty());
}

TEST_F(StoreCare, PruneFollowsOlderThan) {
    const Layer a = commit(std::nullopt, "a", "0");
    const Digest unnamed = image({a}, "u");
    age_all(2 * day);
    prune(store, {.older_than = 3 * day});
    EXPECT_TRUE(store.find_image(unnamed.str()));
    EXPECT_TRUE(has(a));
    prune(store, {.all = true, .older_than = 3 * day});
    EXPECT_TRUE(has(a));
    prune(store, {.older_than = 1 * day});
    EXPECT_FALSE(store.find_image(unnamed.str()));
    EXPECT_FALSE(has(a));
}

TEST_F(StoreCare, PruneToASizeTakesTheLongestUnusedFirst) {
    const std::string megabyte(1U << 20U, 'x');
    const Layer base = commit(std::nullopt, "base", megabyte + "0");
    const Layer oldest = commit(base.chain, "f", megabyte + "1");
    const Layer older = commit(base.chain, "f", megabyte + "2");
    const Layer newest = commit(older.chain, "f", megabyte + "3");
    tag("app", image({base}, "app"));
    const auto now = static_cast<std::int64_t>(std::time(nullptr));
    const auto used = [&](const Layer& layer, std::int64_t ago) {
        store.db().execute("UPDATE layers SET last_used=?1 WHERE chain=?2", {now - ago, layer.chain.str()});
    };
    used(base, 500);
    used(oldest, 400);
    used(older, 300);
    used(newest, 200);
    const std::uint64_t all = disk_usage(store.fd(), ".");
    prune(store, {.max_size = all});
    EXPECT_EQ(count("layers"), 4);
    prune(store, {.max_size = all - 1});
    EXPECT_FALSE(has(oldest));
    EXPECT_EQ(count("layers"), 3);
    prune(store, {.max_size = all - (1U << 20U) - 4096 * 8});
    EXPECT_FALSE(has(newest));  // a leaf; `older` is needed by it and goes only after it
    EXPECT_TRUE(has(older));
    prune(store, {.max_size = 0});
    EXPECT_TRUE(has(base));  // an image with a name needs it
    EXPECT_EQ(count("layers"), 1);
    EXPECT_TRUE(check().empty());
}

TEST_F(StoreCare, PruneBlobsTakesOnlyWhatCanBeMadeAgain) {
    const Layer base = add_foreign(std::nullopt, "base", "0");
    const Layer own = commit(base.chain, "n", "1");
    tag("app", image({base, own}, "app"));
    const auto blob = LayerStore(store, pool).blob(own, {});
    EXPECT_EQ(prune(store, {.blobs = true}).blobs, 1U);
    EXPECT_FALSE(store.has_blob(blob.digest));
    LayerStore layers(store, pool);
    EXPECT_EQ(layers.blob(own, {}).digest, blob.digest);
    NullSink sink;
    layers.write_tar(base, sink);
}

TEST_F(StoreCare, PruneRefusesToGuessWhatADamagedImageNeeds) {
    const Layer base = commit(std::nullopt, "base", "0");
    const Digest id = image({base}, "app");
    tag("app", id);
    dir.write("store/blobs/sha256/" + id.hex(), std::string(stat_fd(store.open_blob(id).get()).st_size, 'x'));
    EXPECT_THROW(prune(store, {.all = true}), Error);
    EXPECT_TRUE(has(base));
}

TEST_F(StoreCare, PruneRemovesRubbish) {
    const Layer base = commit(std::nullopt, "base", "0");
    tag("app", image({base}, "app"));
    dir.write("store/blobs/sha256/" + std::string(64, 'a'), "left by a crash");
    make_directory(store.layers_fd(), std::string(64, 'b'), 0755);
    EXPECT_EQ(prune(store, {}).rubbish, 2U);
    EXPECT_EQ(files(store.blobs_fd()), 1U);
    EXPECT_EQ(files(store.layers_fd()), 1U);
}

TEST_F(StoreCare, FsckFindsNothingInAWholeStore) {
    const Layer base = add_foreign(std::nullopt, "base", "0");
    const Layer own = commit(base.chain, "n", "1");
    tag("app", image({base, own}, "app"));
    LayerStore(store, pool).blob(own, {Compression::zstd});
    cache("k", own.chain, 0);
    EXPECT_TRUE(check().empty());
    EXPECT_TRUE(check(true).empty());
    EXPECT_EQ(count("layers"), 2);
}

TEST_F(StoreCare, FsckFindsAndDropsADamagedLayerAndAllOnIt) {
    const Layer base = commit(std::nullopt, "base", "0");
    const Layer bad = commit(base.chain, "bad", "1");
    const Layer top = commit(bad.chain, "top", "2");
    const Layer other = commit(base.chain, "other", "3");
    tag("broken", image({base, bad, top}, "b"));
    tag("whole", image({base, other}, "w"));
    cache("bad", bad.chain, 0);
    cache("other", other.chain, 0);
    dir.write("store/layers/" + bad.chain.hex() + "/diff/bad", "X");

    const auto found = check();
    std::vector<std::string> subjects;
    for (const Finding& finding : found) {
        subjects.push_back(finding.subject.substr(0, finding.subject.find(' ')));
        EXPECT_FALSE(finding.repaired);
    }
    std::sort(subjects.begin(), subjects.end());
    EXPECT_EQ(subjects, (std::vector<std::string>{"cache", "image", "layer", "layer", "name"}));
    EXPECT_EQ(count("layers"), 4);  // looked only
    EXPECT_EQ(check(true).size(), found.size());
    EXPECT_TRUE(check().empty());
    EXPECT_FALSE(has(bad));
    EXPECT_FALSE(has(top));
    EXPECT_TRUE(has(other));
    EXPECT_FALSE(store.find_image("broken"));
    EXPECT_TRUE(store.find_image("whole"));
    EXPECT_EQ(count("cache"), 1);
    EXPECT_EQ(commit(base.chain, "bad", "1").entries, 1U);  // and it can be made anew
}

// Each does one kind of harm to a store of its own: an image "app" of a foreign and an own layer.
class Damage : public StoreCare {
  protected:
    void SetUp() override { tag("app", app = image({base, own}, "app")); }
    std::string blob_file(const Digest& id) const { return "store/blobs/sha256/" + id.hex(); }
    std::string diff(const Layer& layer) const { return "store/layers/" + layer.chain.hex() + "/diff"; }
    Digest foreign_blob() { return LayerStore(store, pool).find_blob(base.diff, {Compression::zstd}).value().digest; }
    // It is seen, repaired at once, and then the store is whole.
    void expect_found(const std::string& subject) {
        const auto found = check();
        EXPECT_TRUE(std::any_of(found.begin(), found.end(), [&](const Finding& finding) {
            return finding.subject.starts_with(subject);
        })) << subject;
        EXPECT_EQ(check(true).size(), found.size());
        EXPECT_TRUE(check().empty());
    }

    Layer base = add_foreign(std::nullopt, "base", "0");
    Layer own = commit(base.chain, "own", "1");
    Digest app = oci::digest_of("");
};

TEST_F(Damage, ABlobsByte) {
    const std::string config = store.read_blob(app);
    dir.write(blob_file(app), "X" + config.substr(1));
    expect_found("blob " + app.str());
    EXPECT_FALSE(store.find_image("app"));
}

TEST_F(Damage, ABlobsEnd) {
    ASSERT_EQ(::truncate(dir.path(blob_file(app)).c_str(), 3), 0);
    expect_found("blob " + app.str());
}

TEST_F(Damage, ABlobsFile) {
    remove_tree(dir.fd(), blob_file(foreign_blob()));
    expect_found("blob ");
    EXPECT_FALSE(has(base));
}

TEST_F(Damage, AForeignLayersFile) {
    dir.write(diff(base) + "/base", "X");
    expect_found("layer " + base.chain.str());
    EXPECT_FALSE(has(own));
}

TEST_F(Damage, AFileTooMany) {
    dir.write(diff(own) + "/more", "");
    expect_found("layer " + own.chain.str());
    EXPECT_TRUE(has(base));
}

TEST_F(Damage, AMode) {
    ASSERT_EQ(::chmod(dir.path(diff(own) + "/own").c_str(), 04755), 0);
    expect_found("layer " + own.chain.str());
}

TEST_F(Damage, ADirectory) {
    remove_tree(store.layers_fd(), own.chain.hex());
    expect_found("layer " + own.chain.str());
}

TEST_F(Damage, ARecordOfALayer) {
    store.db().execute("UPDATE layers SET diff=?1 WHERE chain=?2", {base.diff.str(), own.chain.str()});
    expect_found("layer " + own.chain.str());
}

TEST_F(Damage, RecordsThatAreNoDigests) {
    store.db().execute("INSERT INTO blobs VALUES('../../x', 1, 1)", {});
    store.db().execute("INSERT INTO layers VALUES('../../x', 'y', 'z', 1, 1, 1, 1, 1, 1)", {});
    store.db().execute("INSERT INTO images VALUES('x', 1)", {});
    expect_found("blob ../../x");
    EXPECT_TRUE(store.find_image("app"));
}

TEST_F(Damage, ANameWithoutAnImage) {
    store.db().execute("INSERT INTO names VALUES('lost:latest', 'sha256:nothing')", {});
    expect_found("name lost:latest");
    EXPECT_TRUE(store.find_image("app"));
}

TEST_F(Damage, AFormWithoutABlob) {
    const auto blob = LayerStore(store, pool).blob(own, {});
    store.db().execute("DELETE FROM blobs WHERE digest=?1", {blob.digest.str()});
    expect_found("compressed form of " + own.diff.str());
    EXPECT_TRUE(has(own));
}

TEST_F(Damage, FilesWithoutARecord) {
    dir.write(blob_file(oci::digest_of("x")), "x");
    make_directory(store.layers_fd(), "x", 0755);
    const auto found = check();
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].kind, Finding::Kind::rubbish);
    expect_found("layers/x");
    EXPECT_TRUE(store.find_image("app"));
}

TEST_F(Damage, RepairWaitsForNobodyHere) {
    // Its own shared lock does not stand in the way.
    store.lock(oci::Store::Use::shared);
    EXPECT_TRUE(check(true).empty());
}

TEST(DiskUsage, CountsLikeDu) {
    const TempDir dir;
    make_directory(dir.fd(), "d", 0755);
    dir.write("d/a", std::string(100000, 'x'));
    ASSERT_EQ(::linkat(dir.fd(), "d/a", dir.fd(), "d/b", 0), 0);
    ASSERT_EQ(::symlinkat("/usr", dir.fd(), "d/usr"), 0);
    const Pipe pipe = make_pipe();
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
        ::dup2(pipe.write.get(), 1);
        ::execlp("du", "du", "-s", "-B1", dir.path("d").c_str(), nullptr);
        ::_exit(127);
    }
    char text[64] = {};
    ASSERT_GT(::read(pipe.read.get(), text, sizeof text - 1), 0);
    ::waitpid(pid, nullptr, 0);
    EXPECT_EQ(disk_usage(dir.fd(), "d"), std::strtoull(text, nullptr, 10));
    EXPECT_EQ(disk_usage(dir.fd(), "missing"), 0U);
}

}  // namespace
}  // namespace mkimg::layers

#include "builder/stat_cache.h"

#include <thread>

#include "copy_fixture.h"

namespace mkimg::builder {
namespace {

using testing::CopyFixture;

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t now = 2'000'000'000 * second;

StatKey key(std::uint64_t inode, std::int64_t time = now - 10 * second) {
    return {7, inode, 100, time, time};
}
FileContent held(std::string_view text, bool xattrs = false) {
    return {sha256(text), xattrs};
}

class StatCacheTest : public CopyFixture {
  protected:
    StatCacheTest() : root_(open_path(at("context"), O_RDONLY | O_DIRECTORY)) {}
    std::unique_ptr<StatCache> open() { return std::make_unique<StatCache>(store_fd(), root_.get()); }
    std::string file() const {
        const auto all = names("store/statcache");
        return all.empty() ? "" : "store/statcache/" + all.front();
    }
    UniqueFd root_;
};

TEST_F(StatCacheTest, RemembersAcrossProcesses) {
    auto cache = open();
    for (std::uint64_t i = 1; i <= 1000; ++i) cache->record(key(i), held(std::to_string(i), i % 2 == 0), now);
    cache->save();
    cache = open();
    for (std::uint64_t i = 1; i <= 1000; ++i) {
        const auto found = cache->find(key(i));
        ASSERT_TRUE(found) << i;
        EXPECT_EQ(*found, held(std::to_string(i), i % 2 == 0));
    }
    EXPECT_FALSE(cache->find(key(1001)));
}

TEST_F(StatCacheTest, EveryFieldCounts) {
    const auto cache = open();
    cache->record(key(1), held("a"), now);
    cache->save();
    const auto reader = open();
    EXPECT_TRUE(reader->find(key(1)));
    for (const auto change :
         {+[](StatKey& k) { ++k.device; }, +[](StatKey& k) { ++k.inode; }, +[](StatKey& k) { ++k.size; },
          +[](StatKey& k) { ++k.mtime_ns; }, +[](StatKey& k) { ++k.ctime_ns; }}) {
        StatKey other = key(1);
        change(other);
        EXPECT_FALSE(reader->find(other));
    }
}

TEST_F(StatCacheTest, YoungFilesAreNotTrusted) {
    const auto cache = open();
    cache->record(key(1, now - 2 * second + 1), held("young"), now);
    cache->record(key(2, now - 2 * second), held("old enough"), now);
    cache->record(key(3, now + 60 * second), held("from the future"), now);
    cache->record({7, 4, 100, now - 60 * second, now - second}, held("ctime is young"), now);
    EXPECT_FALSE(cache->find(key(1, now - 2 * second + 1)));
    EXPECT_TRUE(cache->find(key(2, now - 2 * second)));
    EXPECT_FALSE(cache->find(key(3, now + 60 * second)));
    EXPECT_FALSE(cache->find({7, 4, 100, now - 60 * second, now - second}));
}

TEST_F(StatCacheTest, AChangedFileReplacesWhatWasKnown) {
    auto cache = open();
    cache->record(key(1), held("before"), now);
    cache->save();
    cache = open();
    const StatKey changed = key(1, now - 5 * second);
    cache->record(changed, held("after"), now);
    cache->save();
    cache = open();
    EXPECT_FALSE(cache->find(key(1)));
    EXPECT_EQ(cache->find(changed), held("after"));
}

TEST_F(StatCacheTest, SavesOnlyWhatIsNew) {
    auto cache = open();
    cache->record(key(1), held("a"), now);
    cache->save();
    const ino_t first = stat_of(file()).st_ino;
    cache = open();
    EXPECT_TRUE(cache->find(key(1)));
    cache->save();
    EXPECT_EQ(stat_of(file()).st_ino, first);  // not written again
}

TEST_F(StatCacheTest, WhatNobodyAsksForGoesInTheEnd) {
    auto cache = open();
    cache->record(key(1), held("asked for"), now);
    cache->record(key(2), held("forgotten"), now);
    cache->save();
    for (std::uint64_t i = 0; i < 31; ++i) {
        cache = open();
        EXPECT_TRUE(cache->find(key(1)));
        cache->record(key(100 + i), held("new"), now);
        cache->save();
    }
    EXPECT_TRUE(open()->find(key(2)));
    cache = open();
    EXPECT_TRUE(cache->find(key(1)));
    cache->record(key(200), held("new"), now);
    cache->save();
    EXPECT_FALSE(open()->find(key(2)));
    EXPECT_TRUE(open()->find(key(1)));
}

TEST_F(StatCacheTest, ABrokenFileIsEmpty) {
    open()->save();
    auto cache = open();
    cache->record(key(1), held("a"), now);
    cache->save();
    const std::string good = content(file());
    const std::string name = file();
    for (const std::string& bad : {std::string(), std::string("x"), good.substr(0, good.size() - 1), good + "x",
                                   std::string(good.size(), '\xff'), std::string(good.size(), '\0')}) {
        write_file_atomically(at(name), bad);
        cache = open();
        EXPECT_FALSE(cache->find(key(1)));
        cache->record(key(2), held("b"), now);
        cache->save();
        EXPECT_EQ(open()->find(key(2)), held("b"));
    }
}

TEST_F(StatCacheTest, WithoutAStoreItForgets) {
    StatCache cache(-1, root_.get());
    cache.record(key(1), held("a"), now);
    EXPECT_TRUE(cache.find(key(1)));
    cache.save();
    EXPECT_FALSE(exists("store/statcache"));
}

TEST_F(StatCacheTest, ThreadsShareIt) {
    const auto cache = open();
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (std::uint64_t i = 0; i < 500; ++i) {
                cache->record(key(1 + t * 1000 + i), held(std::to_string(i)), now);
                EXPECT_TRUE(cache->find(key(1 + t * 1000 + i)));
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    cache->save();
    EXPECT_TRUE(open()->find(key(3500)));
}

}  // namespace
}  // namespace mkimg::builder

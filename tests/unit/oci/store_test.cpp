#include "oci/store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "base/error.h"
#include "tests/unit/temp_dir.h"

namespace mkimg::oci {
namespace {

ErrorCode code_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& e) {
        return e.code();
    }
    ADD_FAILURE() << "nothing was thrown";
    return ErrorCode::internal;
}

std::int64_t count(Store& store, const std::string& table) {
    std::int64_t rows = -1;
    store.db().execute("SELECT count(*) FROM " + table, {}, [&](const Row& row) { rows = row.integer(0); });
    return rows;
}

// As if the machine had been restarted since.
void pretend_restart(Store& store) {
    store.db().execute("UPDATE meta SET value='another' WHERE key='boot'", {});
}

Reference name(const char* text) {
    return Reference::parse(text);
}

TEST(Store, MakesItsFolderForItsOwnerAlone) {
    const TempDir dir;
    const mode_t before = ::umask(0);
    const Store store(dir.path("a/b/store"));
    ::umask(before);
    EXPECT_EQ(stat_fd(store.fd()).st_mode & 07777U, 0700U);
    std::vector<std::string> names;
    for (const DirEntry& entry : list_directory(store.fd())) names.push_back(entry.name);
    for (const char* wanted : {"blobs", "layers", "logs", "mkimg.db", "tmp"}) {
        EXPECT_NE(std::find(names.begin(), names.end(), wanted), names.end()) << wanted;
    }
}

TEST(Store, RefusesWhatANewerOneWrote) {
    const TempDir dir;
    Store(dir.path()).db().script("PRAGMA user_version=99");
    EXPECT_EQ(code_of([&] { Store store(dir.path()); }), ErrorCode::unsupported);
}

TEST(Store, AFileInItsPlaceIsAnError) {
    const TempDir dir;
    dir.write("f", "");
    EXPECT_THROW(Store store(dir.path("f")), Error);
    EXPECT_THROW(Store store(dir.path("f/below")), Error);
}

TEST(Blobs, AreFoundByDigest) {
    const TempDir dir;
    Store store(dir.path());
    const Digest digest = store.put_blob("hello");
    EXPECT_EQ(digest.hex(), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    EXPECT_TRUE(store.has_blob(digest));
    EXPECT_EQ(store.read_blob(digest), "hello");
    EXPECT_EQ(dir.read("blobs/sha256/" + digest.hex()), "hello");
    EXPECT_EQ(store.put_blob("hello"), digest);
    EXPECT_EQ(code_of([&] { store.read_blob(digest_of("other")); }), ErrorCode::not_found);
    EXPECT_EQ(code_of([&] { store.read_blob(digest, 4); }), ErrorCode::corrupt);
    store.remove_blob(digest);
    EXPECT_FALSE(store.has_blob(digest));
    EXPECT_TRUE(list_directory(store.blobs_fd()).empty());
}

TEST(Blobs, DamageIsSeen) {
    const TempDir dir;
    Store store(dir.path());
    const Digest digest = store.put_blob("hello");
    const std::string file = "blobs/sha256/" + digest.hex();
    dir.write(file, "hellO");
    EXPECT_EQ(code_of([&] { store.read_blob(digest); }), ErrorCode::corrupt);
    dir.write(file, "hell");
    EXPECT_EQ(code_of([&] { store.open_blob(digest); }), ErrorCode::corrupt);
    remove_tree(dir.fd(), file);
    EXPECT_FALSE(store.has_blob(digest));
    EXPECT_EQ(code_of([&] { store.open_blob(digest); }), ErrorCode::corrupt);
    EXPECT_EQ(store.put_blob("hello"), digest);  // and it can be made anew
    EXPECT_EQ(store.read_blob(digest), "hello");
}

TEST(Blobs, WriterKeepsNothingThatIsNotCommittedOrNotExpected) {
    const TempDir dir;
    Store store(dir.path());
    {
        Store::BlobWriter writer(store);
        writer.write(as_bytes("half"));
    }
    {
        Store::BlobWriter writer(store);
        writer.write(as_bytes("wrong"));
        EXPECT_EQ(code_of([&] { writer.commit(digest_of("right")); }), ErrorCode::corrupt);
    }
    EXPECT_TRUE(list_directory(store.blobs_fd()).empty());
    EXPECT_TRUE(list_directory(store.tmp_fd()).empty());
    EXPECT_EQ(count(store, "blobs"), 0);
    Store::BlobWriter writer(store);
    std::string text;
    for (int i = 0; i < 3000; ++i) {
        const std::string part(static_cast<std::size_t>(i), static_cast<char>('a' + i % 26));
        writer.write(as_bytes(part));
        text += part;
    }
    EXPECT_EQ(writer.size(), text.size());
    EXPECT_EQ(writer.commit(digest_of(text)), digest_of(text));
    EXPECT_EQ(store.read_blob(digest_of(text), text.size()), text);
}

TEST(Images, NamesMoveAndImagesStay) {
    const TempDir dir;
    Store store(dir.path());
    const Digest one = store.put_blob("one");
    const Digest two = store.put_blob("two");
    EXPECT_EQ(code_of([&] { store.tag(name("a"), digest_of("no such blob")); }), ErrorCode::not_found);
    store.tag(name("a"), one);
    store.tag(name("b:2"), one);
    store.tag(name("docker.io/library/a:latest"), two);
    EXPECT_EQ(store.find_image("a")->id, two);
    EXPECT_EQ(store.find_image("b:2")->id, one);
    EXPECT_EQ(store.find_image("b:2")->names, (std::vector<std::string>{"b:2"}));
    EXPECT_EQ(store.find_image("b"), std::nullopt);
    EXPECT_EQ(store.find_image("index.docker.io/library/a")->names, (std::vector<std::string>{"a:latest"}));
    EXPECT_EQ(store.images().size(), 2U);
    EXPECT_TRUE(store.untag(name("b:2")));
    EXPECT_FALSE(store.untag(name("b:2")));
    EXPECT_TRUE(store.find_image(one.str())->names.empty());
    store.remove_image(two);
    EXPECT_FALSE(store.find_image("a"));
    EXPECT_EQ(store.images().size(), 1U);
    EXPECT_EQ(code_of([&] { store.tag(name(("a@" + one.str()).c_str()), one); }), ErrorCode::usage);
}

TEST(Images, AreFoundByIdAndPrefix) {
    const TempDir dir;
    Store store(dir.path());
    // Two configs whose digests share their first four digits, found by trying.
    std::vector<Digest> ids;
    std::map<std::string, std::string> seen;
    for (int i = 0; ids.empty(); ++i) {
        const std::string text = "config " + std::to_string(i);
        const auto [at, fresh] = seen.emplace(digest_of(text).hex().substr(0, 4), text);
        if (!fresh) ids = {store.put_blob(at->second), store.put_blob(text)};
    }
    store.add_image(ids[0]);
    const std::string shared = ids[0].hex().substr(0, 4);
    EXPECT_EQ(store.find_image(shared)->id, ids[0]);
    EXPECT_EQ(store.find_image("sha256:" + shared)->id, ids[0]);
    EXPECT_FALSE(store.find_image(shared.substr(0, 3)));
    store.add_image(ids[1]);
    EXPECT_EQ(code_of([&] { store.find_image(shared); }), ErrorCode::conflict);
    for (const Digest& id : ids) {
        EXPECT_EQ(store.find_image(id.str())->id, id);
        EXPECT_EQ(store.find_image(id.hex())->id, id);
        EXPECT_EQ(store.find_image(id.hex().substr(0, 40))->id, id);
    }
    store.tag(name(shared.c_str()), ids[1]);
    EXPECT_EQ(store.find_image(shared)->id, ids[1]);  // a name wins over a prefix
    for (const char* text : {"", "%", "_", "sha256:", "no such", "'; DROP TABLE images; --"}) {
        EXPECT_FALSE(store.find_image(text)) << text;
    }
}

TEST(WorkDirs, GoWithTheirOwner) {
    const TempDir dir;
    Store store(dir.path());
    {
        WorkDir work = store.make_work_dir();
        make_directory(work.fd(), "x", 0755);
        EXPECT_EQ(list_directory(store.tmp_fd()).size(), 1U);
        WorkDir other = store.make_work_dir();
        other = std::move(work);
        EXPECT_EQ(list_directory(store.tmp_fd()).size(), 1U);
    }
    EXPECT_TRUE(list_directory(store.tmp_fd()).empty());
    WorkDir work = store.make_work_dir();
    make_directory(store.fd(), "full", 0755);
    make_directory(store.fd(), "full/x", 0755);
    EXPECT_FALSE(work.move_to(store.fd(), "full"));
    EXPECT_TRUE(work.move_to(store.fd(), "moved"));
    EXPECT_TRUE(list_directory(store.tmp_fd()).empty());
}

TEST(WorkDirs, OfTheLivingStayAndOfTheDeadGo) {
    const TempDir dir;
    Store store(dir.path());
    const WorkDir mine = store.make_work_dir();
    Store::BlobWriter writer(store);
    writer.write(as_bytes("x"));
    const Pipe pipe = make_pipe();
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
        Store theirs(dir.path());
        const WorkDir work = theirs.make_work_dir();
        make_directory(work.fd(), "junk", 0755);
        const Store::BlobWriter half(theirs);
        write_full(pipe.write.get(), std::string_view("x"));
        ::pause();
        ::_exit(0);
    }
    std::byte ready[1];
    ASSERT_EQ(read_full(pipe.read.get(), ready), 1U);
    { const Store next(dir.path()); }
    EXPECT_EQ(list_directory(store.tmp_fd()).size(), 4U);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    { const Store next(dir.path()); }
    EXPECT_EQ(list_directory(store.tmp_fd()).size(), 2U);
    EXPECT_EQ(writer.commit(), digest_of("x"));
}

TEST(Locks, ExclusiveShutsOutShared) {
    const TempDir dir;
    auto first = std::make_unique<Store>(dir.path());
    auto second = std::make_unique<Store>(dir.path());
    first->lock(Store::Use::shared);
    second->lock(Store::Use::shared);
    const UniqueFd probe = open_path(dir.path("lock"), O_RDWR);
    EXPECT_EQ(::flock(probe.get(), LOCK_EX | LOCK_NB), -1);
    second.reset();
    EXPECT_EQ(::flock(probe.get(), LOCK_EX | LOCK_NB), -1);
    first->lock(Store::Use::exclusive);
    EXPECT_EQ(::flock(probe.get(), LOCK_SH | LOCK_NB), -1);
    first.reset();
    EXPECT_EQ(::flock(probe.get(), LOCK_EX | LOCK_NB), 0);
}

TEST(Durability, WhatWasSyncedSurvivesARestart) {
    const TempDir dir;
    {
        Store store(dir.path());
        store.put_blob("kept");
        store.sync();
        EXPECT_EQ(count(store, "unsynced"), 0);
        store.add_image(store.put_blob("lost"));
        store.db().execute("INSERT INTO layer_blobs VALUES('d', 'gzip', -1, ?1, 4)", {digest_of("lost").str()});
        pretend_restart(store);
    }
    Store store(dir.path());
    EXPECT_EQ(store.read_blob(digest_of("kept")), "kept");
    EXPECT_FALSE(store.has_blob(digest_of("lost")));
    EXPECT_TRUE(store.images().empty());
    EXPECT_EQ(count(store, "layer_blobs"), 0);
    store.put_blob("lost");  // over the file that was left
    EXPECT_EQ(store.read_blob(digest_of("lost")), "lost");
}

// Else a power loss would take the name from the image that had it, too.
TEST(Durability, ANameIsGivenToSyncedContentAlone) {
    const TempDir dir;
    {
        Store store(dir.path());
        store.tag(name("app"), store.put_blob("old"));
        store.tag(name("app"), store.put_blob("new"));
        pretend_restart(store);
    }
    Store store(dir.path());
    EXPECT_EQ(store.find_image("app")->id, digest_of("new"));
}

TEST(Durability, WithoutARestartNothingIsLost) {
    const TempDir dir;
    { Store(dir.path()).put_blob("x"); }
    Store store(dir.path());
    EXPECT_TRUE(store.has_blob(digest_of("x")));
    EXPECT_EQ(count(store, "unsynced"), 1);
    store.sync();
    EXPECT_EQ(count(store, "unsynced"), 0);
}

TEST(Concurrency, ManyThreadsAndProcessesPutTheSameBlobs) {
    const TempDir dir;
    constexpr int blobs = 40;
    std::vector<pid_t> children;
    for (int p = 0; p < 8; ++p) {
        const pid_t pid = ::fork();
        ASSERT_GE(pid, 0);
        if (pid == 0) {
            try {
                Store store(dir.path("store"));  // all of them make it at once
                store.lock(Store::Use::shared);
                std::vector<std::thread> threads;
                for (int t = 0; t < 4; ++t) {
                    threads.emplace_back([&] {
                        for (int i = 0; i < blobs; ++i) {
                            const Digest id = store.put_blob("blob " + std::to_string(i));
                            store.tag(name(("n" + std::to_string(i % 5)).c_str()), id);
                        }
                    });
                }
                for (std::thread& thread : threads) thread.join();
                store.sync();
            } catch (const std::exception& e) {
                std::fprintf(stderr, "%s\n", e.what());
                ::_exit(1);
            }
            ::_exit(0);
        }
        children.push_back(pid);
    }
    for (const pid_t pid : children) {
        int status = 0;
        ASSERT_EQ(::waitpid(pid, &status, 0), pid);
        EXPECT_EQ(status, 0);
    }
    Store store(dir.path("store"));
    EXPECT_EQ(count(store, "blobs"), blobs);
    EXPECT_EQ(count(store, "names"), 5);
    EXPECT_EQ(list_directory(store.blobs_fd()).size(), static_cast<std::size_t>(blobs));
    EXPECT_TRUE(list_directory(store.tmp_fd()).empty());
    for (int i = 0; i < blobs; ++i) store.read_blob(digest_of("blob " + std::to_string(i)));
}

TEST(FullDisk, IsUnavailableAndLeavesTheStoreWhole) {
    const TempDir dir;
    ASSERT_EQ(::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=4m"), 0) << "needs root";
    {
        Store store(dir.path("s"));
        int stored = 0;
        try {
            for (;; ++stored) store.put_blob(std::to_string(stored) + std::string(100000, 'x'));
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::unavailable) << e.what();
            EXPECT_NE(e.hint().find("full"), std::string::npos) << e.hint();
        }
        EXPECT_GT(stored, 10);
        // Small ones until the database itself can't grow.
        try {
            for (int i = 0; i < 100000; ++i) store.put_blob("small " + std::to_string(i));
            ADD_FAILURE() << "the disk never filled up";
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::unavailable) << e.what();
        }
        EXPECT_EQ(count(store, "blobs"), static_cast<std::int64_t>(list_directory(store.blobs_fd()).size()));
        EXPECT_TRUE(list_directory(store.tmp_fd()).empty());
        for (int i = 0; i < stored; ++i) {
            store.read_blob(digest_of(std::to_string(i) + std::string(100000, 'x')));
        }
        for (int i = 0; i < 5; ++i) store.remove_blob(digest_of(std::to_string(i) + std::string(100000, 'x')));
        store.put_blob("there is room again");
    }
    EXPECT_EQ(::umount2(dir.path().c_str(), MNT_DETACH), 0);
}

TEST(DefaultRoot, FollowsTheEnvironment) {
    ::setenv("MKIMG_ROOT", "/somewhere", 1);
    EXPECT_EQ(Store::default_root(), "/somewhere");
    ::unsetenv("MKIMG_ROOT");
    ASSERT_EQ(::geteuid(), 0U) << "needs root";
    EXPECT_EQ(Store::default_root(), "/var/lib/mkimg");
}

}  // namespace
}  // namespace mkimg::oci

// The store of layers beside other processes: at once, killed, on a full disk.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "layers/fsck.h"
#include "layers/layer_store.h"
#include "tests/unit/temp_dir.h"

namespace mkimg::layers {
namespace {

using oci::ChainId;

// With a time of its own for all: the same content is to be the same layer.
void put(int dir, const std::string& name, std::string_view text) {
    const UniqueFd file = open_at(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    write_full(file.get(), text);
    const timespec times[2] = {{1000, 0}, {1000, 0}};
    ASSERT_EQ(::futimens(file.get(), times), 0);
}

// One build, as a process of its own: commits the same layers as all others and some of its own.
// A byte goes to `progress` after each round.
[[noreturn]] void commit_in_child(const std::string& root, int number, int rounds, int progress = -1) {
    try {
        oci::Store store(root);
        store.lock(oci::Store::Use::shared);
        ThreadPool pool(2);
        LayerStore layers(store, pool);
        std::optional<ChainId> parent;
        for (int i = 0; i < rounds; ++i) {
            for (const std::string& name : {std::string("same"), "own" + std::to_string(number)}) {
                Snapshot snapshot = layers.prepare(parent);
                put(snapshot.upper.get(), name, std::to_string(i));
                const auto layer = layers.commit(std::move(snapshot), {});
                layers.blob(*layer, {Compression::gzip, 1});
                if (name == "same") parent = layer->chain;
            }
            store.sync();
            if (progress >= 0) write_full(progress, std::string_view("."));
        }
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        ::_exit(1);
    }
    ::_exit(0);
}

void expect_whole(oci::Store& store, ThreadPool& pool) {
    for (const Finding& finding : fsck(store, pool, {})) {
        EXPECT_EQ(finding.kind, Finding::Kind::rubbish) << finding.subject << " " << finding.what;
    }
    LayerStore layers(store, pool);
    std::vector<ChainId> chains;
    store.db().execute("SELECT chain FROM layers", {},
                       [&](const Row& row) { chains.push_back(ChainId::parse(row.text(0)).value()); });
    for (const ChainId& chain : chains) {
        const auto layer = layers.find(chain);
        ASSERT_TRUE(layer);
        NullSink sink;
        EXPECT_NO_THROW(layers.write_tar(*layer, sink));
        if (const auto blob = layers.find_blob(layer->diff, {Compression::gzip, 1})) store.read_blob(blob->digest);
    }
}

TEST(LayerStoreProcesses, CommitTheSameLayersAtOnce) {
    const TempDir dir;
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
        const pid_t pid = ::fork();
        ASSERT_GE(pid, 0);
        if (pid == 0) commit_in_child(dir.path("s"), i, 6);
        children.push_back(pid);
    }
    for (const pid_t pid : children) {
        int status = 0;
        ASSERT_EQ(::waitpid(pid, &status, 0), pid);
        EXPECT_EQ(status, 0);
    }
    oci::Store store(dir.path("s"));
    ThreadPool pool(1);
    EXPECT_EQ(list_directory(store.layers_fd()).size(), 6U + 6U * 8U);
    EXPECT_TRUE(list_directory(store.tmp_fd()).empty());
    expect_whole(store, pool);
}

TEST(LayerStoreProcesses, AKillAtAnyMomentLeavesTheStoreWhole) {
    const TempDir dir;
    for (int round = 0; round < 40; ++round) {
        Pipe progress = make_pipe();
        const pid_t pid = ::fork();
        ASSERT_GE(pid, 0);
        if (pid == 0) commit_in_child(dir.path("s"), round, 1000, progress.write.get());
        progress.write.reset();
        // While the store is made or opened, then after some layers; then a little into what comes next.
        std::byte seen[3];
        const auto rounds_first = static_cast<std::size_t>(round % 4);
        ASSERT_EQ(read_full(progress.read.get(), std::span(seen).first(rounds_first)), rounds_first);
        ::usleep(static_cast<useconds_t>(round * 200));
        ::kill(pid, SIGKILL);
        ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
    }
    oci::Store store(dir.path("s"));
    ThreadPool pool(1);
    EXPECT_TRUE(list_directory(store.tmp_fd()).empty());
    EXPECT_GT(list_directory(store.layers_fd()).size(), 0U);
    expect_whole(store, pool);
}

TEST(LayerStoreFullDisk, IsUnavailableAndLeavesTheStoreWhole) {
    const TempDir dir;
    ASSERT_EQ(::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=4m"), 0) << "needs root";
    {
        oci::Store store(dir.path("s"));
        ThreadPool pool(1);
        LayerStore layers(store, pool);
        int made = 0;
        try {
            for (;; ++made) {
                Snapshot snapshot = layers.prepare(std::nullopt);
                const UniqueFd file = open_at(snapshot.upper.get(), "f", O_WRONLY | O_CREAT, 0644);
                write_full(file.get(), std::to_string(made) + std::string(150000, 'x'));
                const auto layer = layers.commit(std::move(snapshot), {});
                layers.blob(*layer, {Compression::none});
            }
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::unavailable) << e.what();
            EXPECT_NE(e.hint().find("full"), std::string::npos) << e.hint();
        }
        EXPECT_GT(made, 5);
        EXPECT_TRUE(list_directory(store.tmp_fd()).empty());
        std::int64_t rows = 0;
        store.db().execute("SELECT count(*) FROM layers", {}, [&](const Row& row) { rows = row.integer(0); });
        EXPECT_EQ(static_cast<std::size_t>(rows), list_directory(store.layers_fd()).size());
        expect_whole(store, pool);
    }
    EXPECT_EQ(::umount2(dir.path().c_str(), MNT_DETACH), 0);
}

}  // namespace
}  // namespace mkimg::layers

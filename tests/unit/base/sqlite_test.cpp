#include "base/sqlite.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "base/error.h"
#include "tests/unit/temp_dir.h"

namespace mkimg {
namespace {

std::int64_t single(Database& db, std::string_view sql) {
    std::int64_t value = -1;
    db.execute(sql, {}, [&](const Row& row) { value = row.integer(0); });
    return value;
}

ErrorCode code_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& e) {
        return e.code();
    }
    ADD_FAILURE() << "nothing was thrown";
    return ErrorCode::internal;
}

TEST(Sqlite, KeepsEveryKindOfValue) {
    const TempDir dir;
    Database db(dir.path("db"));
    db.script("CREATE TABLE t(a, b BLOB, c)");
    const std::string bytes("\0\xFF'; DROP TABLE t; --\0", 22);
    db.execute("INSERT INTO t VALUES(?1, ?2, ?3)", {std::int64_t{INT64_MIN}, bytes, nullptr});
    int rows = 0;
    db.execute("SELECT a, b, c FROM t", {}, [&](const Row& row) {
        ++rows;
        EXPECT_EQ(row.integer(0), INT64_MIN);
        EXPECT_EQ(row.text(1), bytes);
        EXPECT_FALSE(row.is_null(1));
        EXPECT_TRUE(row.is_null(2));
        EXPECT_EQ(row.text(2), "");
    });
    EXPECT_EQ(rows, 1);
}

TEST(Sqlite, AnEmptyTextIsNotNull) {
    const TempDir dir;
    Database db(dir.path("db"));
    db.script("CREATE TABLE t(a)");
    db.execute("INSERT INTO t VALUES(?1)", {std::string()});
    EXPECT_EQ(single(db, "SELECT count(*) FROM t WHERE a IS NOT NULL"), 1);
}

TEST(Sqlite, BindingsDoNotLeakIntoTheNextRun) {
    const TempDir dir;
    Database db(dir.path("db"));
    db.script("CREATE TABLE t(a, b)");
    db.execute("INSERT INTO t VALUES(?1, ?2)", {std::int64_t{1}, std::int64_t{2}});
    db.execute("INSERT INTO t VALUES(?1, ?2)", {std::int64_t{3}});
    EXPECT_EQ(single(db, "SELECT count(*) FROM t WHERE a=3 AND b IS NULL"), 1);
}

TEST(Sqlite, ATransactionThatThrowsLeavesNothing) {
    const TempDir dir;
    Database db(dir.path("db"));
    db.script("CREATE TABLE t(a)");
    EXPECT_THROW(db.transaction([&] {
        db.execute("INSERT INTO t VALUES(1)", {});
        throw std::runtime_error("no");
    }),
                 std::runtime_error);
    EXPECT_EQ(single(db, "SELECT count(*) FROM t"), 0);
    db.transaction([&] { db.execute("INSERT INTO t VALUES(2)", {}); });
    EXPECT_EQ(single(db, "SELECT count(*) FROM t"), 1);
}

TEST(Sqlite, RefusesWhatWouldDeadlockOrMixUp) {
    const TempDir dir;
    Database db(dir.path("db"));
    db.script("CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    EXPECT_EQ(code_of([&] { db.transaction([&] { db.transaction([] {}); }); }), ErrorCode::internal);
    EXPECT_EQ(code_of([&] { db.execute("SELECT a FROM t", {}, [&](const Row&) { db.execute("DELETE FROM t", {}); }); }),
              ErrorCode::internal);
    EXPECT_EQ(single(db, "SELECT count(*) FROM t"), 1);
}

TEST(Sqlite, ARowCallbackMayThrow) {
    const TempDir dir;
    Database db(dir.path("db"));
    db.script("CREATE TABLE t(a); INSERT INTO t VALUES(1),(2)");
    for (int i = 0; i < 2; ++i) {
        EXPECT_THROW(db.execute("SELECT a FROM t", {}, [](const Row&) { throw std::runtime_error("no"); }),
                     std::runtime_error);
    }
    EXPECT_EQ(single(db, "SELECT sum(a) FROM t"), 3);
}

TEST(Sqlite, ErrorsSayWhatTheyAre) {
    const TempDir dir;
    Database db(dir.path("db"));
    db.script("CREATE TABLE t(a PRIMARY KEY); INSERT INTO t VALUES(1)");
    EXPECT_EQ(code_of([&] { db.execute("INSERT INTO t VALUES(1)", {}); }), ErrorCode::conflict);
    EXPECT_EQ(code_of([&] { db.execute("SELECT nonsense FROM t", {}); }), ErrorCode::internal);
    EXPECT_EQ(code_of([&] { Database(dir.path("missing/db")); }), ErrorCode::denied);
    dir.write("rubbish", std::string(8192, 'x'));
    EXPECT_EQ(code_of([&] { Database(dir.path("rubbish")); }), ErrorCode::corrupt);
}

TEST(Sqlite, ChangesCountsRows) {
    const TempDir dir;
    Database db(dir.path("db"));
    db.script("CREATE TABLE t(a); INSERT INTO t VALUES(1),(2),(3)");
    db.transaction([&] {
        db.execute("DELETE FROM t WHERE a>1", {});
        EXPECT_EQ(db.changes(), 2);
        db.execute("DELETE FROM t WHERE a>1", {});
        EXPECT_EQ(db.changes(), 0);
    });
}

TEST(Sqlite, ThreadsOfOneConnectionTakeTurns) {
    const TempDir dir;
    Database db(dir.path("db"));
    db.script("CREATE TABLE t(a); INSERT INTO t VALUES(0)");
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            for (int k = 0; k < 50; ++k) {
                db.transaction([&] {
                    const std::int64_t before = single(db, "SELECT a FROM t");
                    db.execute("UPDATE t SET a=?1", {before + 1});
                });
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(single(db, "SELECT a FROM t"), 400);
}

TEST(Sqlite, ProcessesTakeTurnsAlsoWhenTheyMakeTheFile) {
    const TempDir dir;
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
        const pid_t pid = ::fork();
        ASSERT_GE(pid, 0);
        if (pid == 0) {
            try {
                Database db(dir.path("db"));
                db.script("CREATE TABLE IF NOT EXISTS t(a)");
                for (int k = 0; k < 20; ++k) db.transaction([&] { db.execute("INSERT INTO t VALUES(1)", {}); });
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
    Database db(dir.path("db"));
    EXPECT_EQ(single(db, "SELECT count(*) FROM t"), 160);
}

TEST(Sqlite, TrimmingTheLogKeepsWhatIsInIt) {
    const TempDir dir;
    Database db(dir.path("db"));
    db.script("CREATE TABLE t(a)");
    for (int i = 0; i < 200; ++i) db.execute("INSERT INTO t VALUES(?1)", {std::string(4000, 'x')});
    const auto log_size = [&] { return stat_fd(open_path(dir.path("db-wal"), O_RDONLY).get()).st_size; };
    EXPECT_GT(log_size(), 256 * 1024);
    db.trim_log();
    EXPECT_EQ(log_size(), 0);
    EXPECT_EQ(single(db, "SELECT count(*) FROM t"), 200);
}

// Needs the right to mount, as many tests of this project do.
TEST(Sqlite, AFullDiskIsUnavailableAndLeavesTheDatabaseWhole) {
    const TempDir dir;
    ASSERT_EQ(::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=1m"), 0) << "needs root";
    {
        Database db(dir.path("db"));
        db.script("CREATE TABLE t(a)");
        std::int64_t stored = 0;
        const auto fill = [&] {
            for (;;) {
                db.transaction([&] { db.execute("INSERT INTO t VALUES(?1)", {std::string(20000, 'x')}); });
                ++stored;
            }
        };
        try {
            fill();
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::unavailable) << e.what();
            EXPECT_NE(e.hint().find("prune"), std::string::npos) << e.hint();
        }
        EXPECT_GT(stored, 0);
        EXPECT_EQ(single(db, "SELECT count(*) FROM t"), stored);
    }
    EXPECT_EQ(::umount2(dir.path().c_str(), MNT_DETACH), 0);
}

}  // namespace
}  // namespace mkimg

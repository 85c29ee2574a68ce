// A thin, throwing wrapper over SQLite. One connection, any thread: calls are serialised.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

struct sqlite3;
struct sqlite3_stmt;

namespace mkimg {

// text as std::string; bytes as span
using SqlValue = std::variant<std::nullptr_t, std::int64_t, std::string>;

class Row {
  public:
    explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
    std::int64_t integer(int column) const;
    std::string text(int column) const;  // also of a blob
    bool is_null(int column) const;

  private:
    sqlite3_stmt* statement_;
};

class Database {
  public:
    // WAL, synchronous=NORMAL, busy timeout 30 s. `path` is a host path.
    explicit Database(const std::string& path);
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    ~Database();

    // Runs one statement; statements are prepared once and kept. `each` sees every row while the
    // connection is locked, so it must not call the database again.
    void execute(std::string_view sql, std::span<const SqlValue> values = {},
                 const std::function<void(const Row&)>& each = {});
    void execute(std::string_view sql, std::initializer_list<SqlValue> values,
                 const std::function<void(const Row&)>& each = {});
    // Rows that the last INSERT, UPDATE or DELETE on this connection changed. Other threads change it
    // too: ask inside a transaction.
    std::int64_t changes() const;
    // Several statements without parameters.
    void script(const std::string& sql);
    // BEGIN IMMEDIATE … COMMIT; rolled back when `body` throws. Not nested; other threads wait.
    // `synced`: it has survived a power loss when this returns, at the price of an fsync.
    enum class Durability { normal, synced };
    void transaction(const std::function<void()>& body, Durability durability = Durability::normal);
    // Moves the write-ahead log into the database once it has grown: whoever opens the database first
    // reads the whole log. Costs fsyncs, so for a moment when the disk is written anyway.
    void trim_log();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace mkimg

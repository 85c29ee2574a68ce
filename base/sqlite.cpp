#include "base/sqlite.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <unordered_map>

#include "base/error.h"

namespace mkimg {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto busy_limit = std::chrono::seconds(30);
constexpr off_t log_worth_trimming = 256 << 10;
// In pages, for owners that never call trim_log(); an fsync in the middle of a build may take long.
constexpr int log_limit = 2000;

struct BusySince {
    Clock::time_point start;
};

// SQLite's own busy handler sleeps up to 100 ms at a time; our transactions take far less.
int on_busy(void* opaque, int attempt) noexcept {
    auto& since = *static_cast<BusySince*>(opaque);
    if (attempt == 0) since.start = Clock::now();
    if (Clock::now() - since.start > busy_limit) return 0;
    const long micros = std::min(100L << std::min(attempt, 6), 5000L);
    ::usleep(static_cast<useconds_t>(micros));
    return 1;
}

struct StringHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
};

}  // namespace

std::int64_t Row::integer(int column) const {
    return sqlite3_column_int64(statement_, column);
}

std::string Row::text(int column) const {
    // The blob accessor gives text as it is stored, also with NUL inside.
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    const int size = sqlite3_column_bytes(statement_, column);
    return bytes == nullptr ? std::string() : std::string(bytes, static_cast<std::size_t>(size));
}

bool Row::is_null(int column) const {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

struct Database::State {
    std::string path;
    sqlite3* connection = nullptr;
    BusySince busy;
    // Recursive, for the body of a transaction runs statements while the transaction holds it.
    std::recursive_mutex mutex;
    std::unordered_map<std::string, sqlite3_stmt*, StringHash, std::equal_to<>> statements;
    bool in_transaction = false;
    bool in_row_callback = false;

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        for (const auto& [sql, statement] : statements) sqlite3_finalize(statement);
        sqlite3_close(connection);
    }

    [[noreturn]] void fail(int code, std::string_view doing) const {
        const int os_error = connection == nullptr ? 0 : sqlite3_system_errno(connection);
        const std::string what = std::string(doing) + " " + path + ": " +
                                 (connection == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(connection));
        switch (code & 0xFF) {
            case SQLITE_FULL: throw errno_error(ENOSPC, "write", path);
            case SQLITE_IOERR:
                if (os_error == ENOSPC || os_error == EDQUOT) throw errno_error(os_error, "write", path);
                throw Error(ErrorCode::unavailable,
                            what + (os_error == 0 ? "" : std::string(": ") + std::strerror(os_error)));
            case SQLITE_BUSY:
            case SQLITE_LOCKED:
                throw Error(ErrorCode::unavailable, what,
                            "another mkimg has held the store's database for over 30 seconds; wait for it or end it");
            case SQLITE_CORRUPT:
            case SQLITE_NOTADB:
                throw Error(ErrorCode::corrupt, what,
                            "the store's database is damaged: move the store's folder away and build or pull again");
            case SQLITE_CANTOPEN:
            case SQLITE_READONLY:
            case SQLITE_PERM:
            case SQLITE_AUTH:
                if (os_error == ENOSPC || os_error == EDQUOT) throw errno_error(os_error, "write", path);
                throw Error(ErrorCode::denied,
                            what + (os_error == 0 ? "" : std::string(": ") + std::strerror(os_error)));
            case SQLITE_CONSTRAINT: throw Error(ErrorCode::conflict, what);
            default: throw Error(ErrorCode::internal, what);
        }
    }

    void check(int code, std::string_view doing) const {
        if (code != SQLITE_OK) fail(code, doing);
    }

    sqlite3_stmt* prepare(std::string_view sql) {
        const auto found = statements.find(sql);
        if (found != statements.end()) return found->second;
        sqlite3_stmt* statement = nullptr;
        check(sqlite3_prepare_v3(connection, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                 &statement, nullptr),
              "prepare a statement for");
        statements.emplace(sql, statement);
        return statement;
    }

    void run(const char* sql) { check(sqlite3_exec(connection, sql, nullptr, nullptr, nullptr), "use"); }
};

Database::Database(const std::string& path) : state_(std::make_unique<State>()) {
    State& s = *state_;
    s.path = path;
    // NOMUTEX: the mutex of State serialises all calls.
    constexpr int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    s.check(sqlite3_open_v2(path.c_str(), &s.connection, flags, nullptr), "open");
    sqlite3_busy_handler(s.connection, on_busy, &s.busy);
    // Leaving the log as it is saves the last process to close two fsyncs.
    sqlite3_db_config(s.connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    sqlite3_wal_autocheckpoint(s.connection, log_limit);
    bool wal = false;
    execute("PRAGMA journal_mode", {}, [&](const Row& row) { wal = row.text(0) == "wal"; });
    // Two processes that make the switch at once: SQLite answers BUSY without asking the handler.
    for (int attempt = 0; !wal; ++attempt) {
        const int code = sqlite3_exec(s.connection, "PRAGMA journal_mode=WAL", nullptr, nullptr, nullptr);
        wal = code == SQLITE_OK;
        if (!wal && ((code & 0xFF) != SQLITE_BUSY || on_busy(&s.busy, attempt) == 0)) s.fail(code, "open");
    }
    s.run("PRAGMA synchronous=NORMAL");
}

Database::~Database() = default;

void Database::execute(std::string_view sql, std::span<const SqlValue> values,
                       const std::function<void(const Row&)>& each) {
    State& s = *state_;
    const std::lock_guard lock(s.mutex);
    if (s.in_row_callback) throw Error(ErrorCode::internal, "the database was called while it was giving rows");
    sqlite3_stmt* const statement = s.prepare(sql);
    struct Reset {
        State& state;
        sqlite3_stmt* statement;
        ~Reset() {
            state.in_row_callback = false;
            sqlite3_reset(statement);
            sqlite3_clear_bindings(statement);
        }
    };
    const Reset reset{s, statement};

    int index = 0;
    for (const SqlValue& value : values) {
        ++index;
        int code = SQLITE_OK;
        if (const auto* number = std::get_if<std::int64_t>(&value)) {
            code = sqlite3_bind_int64(statement, index, *number);
        } else if (const auto* text = std::get_if<std::string>(&value)) {
            // Null as destructor: SQLITE_STATIC, for `values` outlives the statement's run.
            code = sqlite3_bind_text64(statement, index, text->data(), text->size(), nullptr, SQLITE_UTF8);
        } else {
            code = sqlite3_bind_null(statement, index);
        }
        s.check(code, "bind a value for");
    }
    for (;;) {
        const int code = sqlite3_step(statement);
        if (code == SQLITE_DONE) return;
        if (code != SQLITE_ROW) s.fail(code, "use");
        if (each) {
            s.in_row_callback = true;
            each(Row(statement));
            s.in_row_callback = false;
        }
    }
}

void Database::execute(std::string_view sql, std::initializer_list<SqlValue> values,
                       const std::function<void(const Row&)>& each) {
    execute(sql, std::span<const SqlValue>(values.begin(), values.size()), each);
}

void Database::script(const std::string& sql) {
    const std::lock_guard lock(state_->mutex);
    state_->run(sql.c_str());
}

void Database::transaction(const std::function<void()>& body, Durability durability) {
    State& s = *state_;
    const std::lock_guard lock(s.mutex);
    if (s.in_transaction) throw Error(ErrorCode::internal, "nested database transaction");
    struct FullSync {
        sqlite3* connection;
        ~FullSync() {
            if (connection != nullptr) sqlite3_exec(connection, "PRAGMA synchronous=NORMAL", nullptr, nullptr, nullptr);
        }
    };
    const FullSync full{durability == Durability::synced ? s.connection : nullptr};
    if (full.connection != nullptr) s.run("PRAGMA synchronous=FULL");
    execute("BEGIN IMMEDIATE", {});
    s.in_transaction = true;
    try {
        body();
        execute("COMMIT", {});
        s.in_transaction = false;
    } catch (...) {
        s.in_transaction = false;
        // SQLite has rolled back by itself after some errors (a full disk); then this is a no-op.
        if (sqlite3_get_autocommit(s.connection) == 0)
            sqlite3_exec(s.connection, "ROLLBACK", nullptr, nullptr, nullptr);
        throw;
    }
}

std::int64_t Database::changes() const {
    const std::lock_guard lock(state_->mutex);
    return sqlite3_changes64(state_->connection);
}

void Database::trim_log() {
    State& s = *state_;
    const std::lock_guard lock(s.mutex);
    struct stat st {};
    if (::stat((s.path + "-wal").c_str(), &st) != 0 || st.st_size < log_worth_trimming) return;
    // Without the handler a process that reads or writes now is no reason to wait: the next one trims.
    sqlite3_busy_handler(s.connection, nullptr, nullptr);
    const int code = sqlite3_wal_checkpoint_v2(s.connection, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    sqlite3_busy_handler(s.connection, on_busy, &s.busy);
    if (code != SQLITE_OK && (code & 0xFF) != SQLITE_BUSY && (code & 0xFF) != SQLITE_LOCKED) s.fail(code, "write");
}

}  // namespace mkimg

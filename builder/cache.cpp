#include "builder/cache.h"

#include <ctime>

#include "base/wire.h"

namespace mkimg::builder {
namespace {

// Changes whenever a key's meaning does: records of another format are never hit.
constexpr std::uint64_t format_version = 1;

std::string wire(std::string_view name, std::string_view value) {
    WireWriter writer;
    writer.text(name).text(value);
    return writer.bytes();
}

}  // namespace

CacheKey::CacheKey(std::string_view kind, const std::optional<oci::ChainId>& parent)
    : parent_(parent ? parent->str() : "") {
    WireWriter writer;
    writer.number(format_version);
    fields_ = wire("format", writer.bytes()) + wire("instruction", kind);
}

CacheKey& CacheKey::field(std::string_view name, std::string_view value) {
    fields_ += wire(name, value);
    return *this;
}

CacheKey& CacheKey::field(std::string_view name, const std::vector<std::string>& values) {
    WireWriter writer;
    writer.texts(values);
    return field(name, writer.bytes());
}

std::string CacheKey::hex() const {
    return to_hex(sha256(wire("parent", parent_) + fields_));
}

std::optional<CachedStep> BuildCache::find(const CacheKey& key) {
    struct Record {
        std::string chain;
        std::int64_t created;
    };
    std::optional<Record> record;
    store_.db().execute("SELECT result_chain, created FROM cache WHERE key = ?", {key.hex()}, [&](const Row& row) {
        record = Record{row.is_null(0) ? std::string() : row.text(0), row.integer(1)};
    });
    if (!record) return std::nullopt;
    CachedStep step;
    step.created = record->created;
    step.made_layer = !record->chain.empty();
    const std::string& chain = step.made_layer ? record->chain : key.parent();
    if (!chain.empty()) {
        step.chain = oci::ChainId::parse(chain);
        if (!step.chain || !layers_.find(*step.chain)) return std::nullopt;
    }
    store_.db().execute("UPDATE cache SET last_used = ? WHERE key = ? AND last_used < ?",
                        {std::int64_t{std::time(nullptr)}, key.hex(), std::int64_t{std::time(nullptr) - 3600}});
    return step;
}

std::int64_t BuildCache::put(const CacheKey& key, const CachedStep& step) {
    const std::string hex = key.hex();
    const SqlValue chain = step.made_layer && step.chain ? SqlValue(step.chain->str()) : SqlValue(nullptr);
    std::int64_t created = step.created;
    store_.db().execute("SELECT created FROM cache WHERE key = ? AND result_chain IS ?", {hex, chain},
                        [&](const Row& row) { created = row.integer(0); });
    store_.db().execute(
        "INSERT INTO cache(key, parent, definition, result_chain, fields, created, last_used) "
        "VALUES(?,?,?,?,?,?,?) ON CONFLICT(key) DO UPDATE SET result_chain = excluded.result_chain, "
        "created = excluded.created, last_used = excluded.last_used",
        {hex, key.parent(), to_hex(sha256(key.fields())), chain, key.fields(), created,
         std::int64_t{std::time(nullptr)}});
    return created;
}

std::optional<std::string> BuildCache::memo(std::string_view kind, const std::string& key) {
    std::optional<std::string> value;
    store_.db().execute("SELECT value FROM memo WHERE kind = ? AND key = ?", {std::string(kind), key},
                        [&](const Row& row) { value = row.text(0); });
    return value;
}

void BuildCache::put_memo(std::string_view kind, const std::string& key, const std::string& value) {
    store_.db().execute("INSERT OR REPLACE INTO memo(kind, key, value, last_used) VALUES(?,?,?,?)",
                        {std::string(kind), key, value, std::int64_t{std::time(nullptr)}});
}

}  // namespace mkimg::builder

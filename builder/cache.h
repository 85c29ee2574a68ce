// The build cache: what a step made, found again by what it could see.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/sha256.h"
#include "layers/layer_store.h"
#include "oci/store.h"

namespace mkimg::builder {

// Everything a step can see, as named fields in a fixed order. Two different lists of fields never
// give the same key: names and values are length-prefixed.
class CacheKey {
  public:
    // `kind` is the instruction's name; `parent` the layers that it runs on.
    CacheKey(std::string_view kind, const std::optional<oci::ChainId>& parent);

    CacheKey& field(std::string_view name, std::string_view value);
    CacheKey& field(std::string_view name, const std::vector<std::string>& values);

    const std::string& parent() const noexcept { return parent_; }
    std::string hex() const;
    // The fields in their stored form.
    const std::string& fields() const noexcept { return fields_; }

  private:
    std::string parent_;  // "" for none
    std::string fields_;
};

struct CachedStep {
    std::optional<oci::ChainId> chain;  // the stack after the step
    bool made_layer = false;
    std::int64_t created = 0;  // when the step first ran, unix seconds
};

class BuildCache {
  public:
    BuildCache(oci::Store& store, layers::LayerStore& layers) : store_(store), layers_(layers) {}

    // A record whose layers are all in the store; anything else is a miss.
    std::optional<CachedStep> find(const CacheKey& key);
    // Remembers the outcome. A record of the same outcome keeps its first time, which is returned, so
    // that a step that ran again and made the same gives the same image.
    std::int64_t put(const CacheKey& key, const CachedStep& step);

    // Small facts derived from content that never changes under its name, e.g. the digest of what a
    // COPY takes from a stack of layers.
    std::optional<std::string> memo(std::string_view kind, const std::string& key);
    void put_memo(std::string_view kind, const std::string& key, const std::string& value);

  private:
    oci::Store& store_;
    layers::LayerStore& layers_;
};

}  // namespace mkimg::builder

#include <gtest/gtest.h>

#include <set>

#include "builder/cache.h"

namespace mkimg::builder {
namespace {

oci::ChainId chain(char c) {
    return oci::ChainId::from_hex(std::string(64, c));
}

TEST(CacheKey, EqualFieldsGiveEqualKeys) {
    const auto make = [] {
        return CacheKey("RUN", chain('a')).field("arguments", std::vector<std::string>{"x", "y"}).hex();
    };
    EXPECT_EQ(make(), make());
    EXPECT_EQ(make().size(), 64U);
}

TEST(CacheKey, EveryDifferenceGivesAnotherKey) {
    using Words = std::vector<std::string>;
    const std::set<std::string> keys = {
        CacheKey("RUN", chain('a')).field("f", "x").hex(),
        CacheKey("RUN", chain('b')).field("f", "x").hex(),
        CacheKey("RUN", std::nullopt).field("f", "x").hex(),
        CacheKey("COPY", chain('a')).field("f", "x").hex(),
        CacheKey("RUN", chain('a')).field("g", "x").hex(),
        CacheKey("RUN", chain('a')).field("f", "y").hex(),
        CacheKey("RUN", chain('a')).field("f", "").hex(),
        CacheKey("RUN", chain('a')).hex(),
        CacheKey("RUN", chain('a')).field("f", Words{"x"}).hex(),
        CacheKey("RUN", chain('a')).field("f", Words{"x", ""}).hex(),
        CacheKey("RUN", chain('a')).field("f", Words{"", "x"}).hex(),
        CacheKey("RUN", chain('a')).field("f", "x").field("f", "").hex(),
    };
    EXPECT_EQ(keys.size(), 12U);
}

TEST(CacheKey, WhatStandsInOneFieldCantMoveToTheNext) {
    EXPECT_NE(CacheKey("RUN", std::nullopt).field("a", "bc").field("d", "e").hex(),
              CacheKey("RUN", std::nullopt).field("a", "b").field("cd", "e").hex());
    EXPECT_NE(CacheKey("RUN", std::nullopt).field("a", std::vector<std::string>{"ab", "c"}).hex(),
              CacheKey("RUN", std::nullopt).field("a", std::vector<std::string>{"a", "bc"}).hex());
}

}  // namespace
}  // namespace mkimg::builder

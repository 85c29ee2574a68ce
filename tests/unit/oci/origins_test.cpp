#include "oci/origins.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/temp_dir.h"

namespace mkimg::oci {
namespace {

TEST(Manifests, TheLastThatCameIsTheFirst) {
    const TempDir dir;
    Store store(dir.path());
    const Digest image = digest_of("image");
    const Digest one = digest_of("one");
    const Digest two = digest_of("two");
    const Digest three = digest_of("three");
    for (const Digest& manifest : {one, two, three, one}) record_manifest(store, image, manifest);
    record_manifest(store, digest_of("another image"), two);
    EXPECT_EQ(manifests_of(store, image), (std::vector{one, three, two}));
}

TEST(Manifests, OfAStoreThatWasMadeBeforeTheyHadAnOrder) {
    const TempDir dir;
    const Digest image = digest_of("image");
    const Digest one = digest_of("one");
    const Digest two = digest_of("two");
    {
        Store store(dir.path());
        record_manifest(store, image, one);
        store.db().script("ALTER TABLE image_manifests DROP COLUMN seen; PRAGMA user_version=2");
    }
    Store store(dir.path());
    EXPECT_EQ(manifests_of(store, image), std::vector{one});
    record_manifest(store, image, two);
    EXPECT_EQ(manifests_of(store, image), (std::vector{two, one}));
}

}  // namespace
}  // namespace mkimg::oci

// The store's folder: where everything lies, who works in it, and when it is durable.
//   blobs/sha256/<hex>  layers/<hex>/diff  mkimg.db  tmp/<random>/  logs/  empty/  lock
// The database is the truth: a blob or layer that it doesn't name is rubbish. docs/store.md has its tables.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/sqlite.h"
#include "base/stream.h"
#include "oci/digest.h"
#include "oci/image_config.h"
#include "oci/reference.h"

namespace mkimg::oci {

// A directory of its own below tmp/, removed with all it holds when the object goes. It is locked
// (flock) while its owner lives; the next start of any mkimg removes those whose owner is gone.
class WorkDir {
  public:
    WorkDir(WorkDir&&) noexcept;
    WorkDir& operator=(WorkDir&&) noexcept;
    ~WorkDir();
    int fd() const noexcept { return directory_.get(); }
    const std::string& name() const noexcept { return name_; }
    // Gives the directory a name outside tmp/, where it stays. False, and all is as it was, where
    // something lies there already (an empty directory is replaced).
    bool move_to(int dirfd, const std::string& name);

  private:
    friend class Store;
    WorkDir(UniqueFd tmp, std::string name, UniqueFd directory);
    void remove() noexcept;
    UniqueFd tmp_;
    std::string name_;
    UniqueFd directory_;
};

class Store {
  public:
    // Makes the folder where it is missing (0700). Throws Error(host) where it can't be written, and
    // Error(unsupported) where a newer mkimg wrote it.
    explicit Store(const std::string& root);
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;
    ~Store();

    // $MKIMG_ROOT, else /var/lib/mkimg for root, else $XDG_DATA_HOME/mkimg or ~/.local/share/mkimg.
    // To be asked before the user namespace is entered, where everybody is root.
    static std::string default_root();

    const std::string& path() const noexcept;
    int fd() const noexcept;         // the root folder
    int layers_fd() const noexcept;  // layers/
    int logs_fd() const noexcept;    // logs/
    int blobs_fd() const noexcept;   // blobs/sha256/
    int tmp_fd() const noexcept;     // tmp/
    int empty_fd() const noexcept;   // empty/: a directory that stays so, for overlay
    Database& db() noexcept;
    WorkDir make_work_dir();

    // One durability point: what is in the store now survives a power loss. What is recorded later is
    // forgotten at the first opening after one, for its files may be short. Does nothing where nothing
    // new was recorded.
    void sync();
    // For the same transaction that records a layer or blob whose files are not synced yet.
    enum class Kind { layer, blob };
    void mark_unsynced(Kind kind, const std::string& id);

    // Shared while a command uses the store; exclusive for prune and fsck --repair, which wait.
    enum class Use { shared, exclusive };
    void lock(Use use);

    // --- blobs: bytes by digest, as in an OCI layout -----------------------------------------
    bool has_blob(const Digest& digest);
    // Checks size; throws Error(not_found). Content is verified by whoever reads it whole.
    UniqueFd open_blob(const Digest& digest);
    // The whole blob, digest verified; throws Error(corrupt), also for more than `limit` bytes.
    std::string read_blob(const Digest& digest, std::uint64_t limit = 8U << 20U);
    Digest put_blob(std::string_view bytes);

    // Forgets the blob and removes its file.
    void remove_blob(const Digest& digest);

    // A blob in the making: write, then commit() hashes and names it.
    // Told how far a blob has come: `file` (borrowed) holds its first `bytes` bytes.
    using BlobWatcher = std::function<void(int file, std::uint64_t bytes)>;
    class BlobWriter final : public Sink {
      public:
        explicit BlobWriter(Store& store, BlobWatcher watcher = {});
        ~BlobWriter() override;
        void write(std::span<const std::byte> bytes) override;
        // Names the blob; with `expected`, a different digest is Error(corrupt) and nothing stays.
        Digest commit(const std::optional<Digest>& expected = std::nullopt);
        std::uint64_t size() const noexcept;

      private:
        struct State;
        std::unique_ptr<State> state_;
    };

    // --- images: names to configs --------------------------------------------------------------
    struct Image {
        Digest id;                       // of the config blob: the image ID
        std::vector<std::string> names;  // familiar names with tags; may be empty
        std::int64_t created = 0;        // when it came into the store, unix seconds
    };
    // Throws Error(usage) for a name that no image may be given: one with a digest, and `scratch`, which
    // FROM takes for the empty image.
    static void check_new_name(const Reference& name);
    // Points the name at the image, after a sync(); another image that had it keeps its ID but loses
    // the name.
    void tag(const Reference& name, const Digest& id);
    // Records an image without a name. It is listed and found by its ID until prune takes it.
    void add_image(const Digest& id);
    // By name, by full ID, or by an unambiguous prefix of the ID of at least 4 digits (an
    // ambiguous one is Error(conflict)).
    std::optional<Image> find_image(std::string_view name_or_id);
    std::vector<Image> images();  // newest first
    // The name of an image that is written most like this one, for "did you mean".
    std::optional<std::string> nearest_name(std::string_view name);
    // Removes the name; nothing of the image's content. False where there was none.
    bool untag(const Reference& name);
    void remove_image(const Digest& id);  // with all its names

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace mkimg::oci

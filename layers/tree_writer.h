// Makes single entries below a root directory, for input that is hostile: a parent is found without
// following a symlink (or, on demand, following it inside the root), the last component is never
// followed, and what stands in the way is replaced.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "layers/apply.h"
#include "layers/entry.h"
#include "layers/xattrs.h"

namespace mkimg::layers {

class TreeWriter {
  public:
    TreeWriter(int root, const ApplyOptions& options);  // both are borrowed

    // Makes it, or gives the one that exists the entry's metadata.
    void directory(const Entry& entry);
    // A new empty file, for its content; close_file() then sets owner, mode, xattrs and time, which
    // writing would change.
    UniqueFd open_file(const Entry& entry);
    void close_file(const Entry& entry, UniqueFd file);
    void symlink(const Entry& entry);
    void hardlink(const Entry& entry);
    // False where this host lets nobody make devices (in a user namespace): then there is none, and
    // hard links to it are left out too.
    bool node(const Entry& entry);

    // Overlay's mark that the layers below lose this name. What the layer has there itself stays.
    void whiteout(const Entry& mark, const std::string& path);
    // Overlay's mark that the directory hides what the layers below hold in it.
    void opaque(const Entry& mark, const std::string& directory);

    // What can only be done at the end: the directories' times, which everything above disturbs,
    // and an opaque root.
    void finish();

  private:
    struct Place {
        int parent;
        std::string name;
    };

    Place place(const Entry& entry, const std::string& path);
    bool try_enter(const std::string& directory);
    void make_parents(const Entry& entry, const std::string& directory);
    UniqueFd step_down(const Entry& entry, const UniqueFd& here, const std::string& name, const std::string& path);
    template <typename Make>
    void replacing(const Place& at, const Entry& entry, std::string_view what, Make make);
    void mark_deleted(const Place& at, const std::string& path);
    void hide_lower_roots();
    Entry implied(const std::string& path) const;
    bool is_whiteout(const Place& at) const;
    void clear(const Place& at, const std::string& path);
    std::optional<UniqueFd> open_directory_of(const std::string& directory) const;
    void set_opaque(int directory, const std::string& path);
    void set_owner_and_mode(int fd, const Entry& entry);
    void set_xattrs(int fd, const Entry& entry);
    void finish_node(const Place& at, const Entry& entry);

    const int root_;
    const ApplyOptions& options_;
    const OverlayXattrs marks_;
    UniqueFd parent_;  // the directory that the last entry went to; entries come in runs
    std::string parent_path_;
    std::map<std::string, std::int64_t> directory_times_;
    std::set<std::string> missing_devices_;
    bool opaque_root_ = false;
};

}  // namespace mkimg::layers

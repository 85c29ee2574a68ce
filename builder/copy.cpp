#include "builder/copy.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/text.h"
#include "base/tree_path.h"
#include "builder/archive.h"
#include "builder/file_copy.h"
#include "builder/source_path.h"
#include "builder/target_path.h"
#include "builder/tree_copy.h"

namespace mkimg::builder {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

class Copier {
  public:
    Copier(const CopyPlan& plan, int root, ThreadPool& pool, const Cancellation* cancel)
        : plan_(plan), root_(root), run_{plan, pool, cancel, {}} {
        if (!plan.request.chown.empty()) run_.owner = resolve_owner(root, plan.request.chown);
        fresh_ = {0755, run_.owner.uid, run_.owner.gid, plan.request.epoch};
    }

    void run() {
        for (const CopyItem& item : plan_.items) {
            if (run_.cancel != nullptr) run_.cancel->check();
            item.is_directory ? copy_directory(item) : copy_file(item);
        }
        for (const HeredocFile& file : plan_.request.heredocs) write_heredoc(file);
    }

  private:
    bool into_directory() const {
        if (plan_.target_is_directory) return true;
        const auto stat = stat_in_root(root_, plan_.target);
        return stat && S_ISDIR(stat->st_mode);
    }

    UniqueFd target_directory(const CopyItem& item) const {
        UniqueFd directory = make_directories_in_root(root_, plan_.target, fresh_);
        for (const CopyItem::Parent& parent : item.parents) {
            const PathText path = [&] { return join_names(plan_.target, parent.name); };
            const std::string name = parent.name.substr(parent.name.rfind('/') + 1);
            create_directory(directory.get(), name.c_str(), path);
            directory = open_at(directory.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
            const bool keep = plan_.keeps_owners();
            set_metadata(directory.get(),
                         {plan_.mode_of_copy(parent.mode), keep ? parent.uid : run_.owner.uid,
                          keep ? parent.gid : run_.owner.gid, new_time()},
                         {}, path);
        }
        return directory;
    }

    std::optional<std::int64_t> new_time() const {
        if (!plan_.request.epoch) return std::nullopt;
        return *plan_.request.epoch * second_ns;
    }

    void copy_directory(const CopyItem& item) const {
        auto source = item.path.empty() ? open_at(plan_.tree.root, ".", O_RDONLY | O_DIRECTORY)
                                        : open_source(item.path, O_RDONLY | O_DIRECTORY);
        UniqueFd target = target_directory(item);
        if (!item.name.empty()) {
            const std::string name = item.name.substr(item.name.rfind('/') + 1);
            create_directory(target.get(), name.c_str(), [&] { return join_names(plan_.target, item.name); });
            target = open_at(target.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        }
        copy_contents(run_, item, join_names(plan_.target, item.name), std::move(source), std::move(target));
    }

    void copy_file(const CopyItem& item) {
        const auto [parent, source_name] = split_path("/" + item.path);
        const UniqueFd source = open_source(parent, O_RDONLY | O_DIRECTORY);
        const bool regular = S_ISREG(item.index->node(TreeIndex::root).mode);
        if (plan_.request.unpack && regular && unpacked(item, source.get(), source_name)) return;
        const FileTarget target = file_target(item.name, &item);
        copy_single(run_, item, target_name(item.name), source.get(), source_name, target);
    }

    bool unpacked(const CopyItem& item, int source_parent, const std::string& source_name) const {
        const UniqueFd file(open_source_file(source_parent, source_name.c_str()));
        if (!file) throw_changed(item.path);
        if (!is_archive(file.get())) return false;
        const UniqueFd directory = make_directories_in_root(root_, plan_.target, fresh_);
        try {
            unpack_archive(file.get(), directory.get(), plan_.request.epoch);
        } catch (Error& error) {
            throw std::move(error.add_context("while unpacking " + printable(item.path)));
        }
        if (!(stat_key(stat_fd(file.get())) == item.index->node(TreeIndex::root).key)) throw_changed(item.path);
        return true;
    }

    std::string target_name(const std::string& name) const {
        return into_directory() ? join_names(plan_.target, name) : plan_.target;
    }

    // Where a file that is called `name` goes.
    FileTarget file_target(const std::string& name, const CopyItem* item) {
        if (into_directory() || plan_.request.parents) {
            UniqueFd directory =
                item != nullptr ? target_directory(*item) : make_directories_in_root(root_, plan_.target, fresh_);
            return {std::move(directory), name.substr(name.rfind('/') + 1)};
        }
        if (wrote_target_) {
            throw Error(ErrorCode::recipe,
                        std::string(plan_.keyword()) + " " + join(plan_.request.sources, " ") +
                            " means several files, but the target " + printable(plan_.request.target) +
                            " is no directory",
                        "end the target in '/'");
        }
        wrote_target_ = true;
        return resolve_file_target(root_, plan_.target, fresh_);
    }

    void write_heredoc(const HeredocFile& file) {
        const PathText path = [&] { return target_name(file.name); };
        const FileTarget target = file_target(file.name, nullptr);
        const Metadata metadata{plan_.mode_of_copy(S_IFREG | 0644), run_.owner.uid, run_.owner.gid, new_time()};
        const UniqueFd to = create_file(target.directory.get(), target.name.c_str(), metadata, path);
        write_full(to.get(), file.content);
        set_metadata(to.get(), metadata, {}, path);
    }

    UniqueFd open_source(const std::string& path, int flags) const {
        auto fd = try_open_nofollow(plan_.tree.root, path, flags);
        if (!fd) throw_changed(path);
        return std::move(*fd);
    }

    const CopyPlan& plan_;
    const int root_;
    CopyRun run_;
    NewDirectory fresh_;
    bool wrote_target_ = false;
};

}  // namespace

void execute_copy(const CopyPlan& plan, int root, ThreadPool& pool, const Cancellation* cancel) {
    Copier(plan, root, pool, cancel).run();
}

}  // namespace mkimg::builder

#include "builder/source_path.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>

#include "base/error.h"
#include "base/text.h"
#include "base/tree_path.h"
#include "parser/ignore.h"

namespace mkimg::builder {
namespace {

constexpr int max_symlinks = 40;  // as the kernel's own limit

bool is_absent(int err) {
    return err == ENOENT || err == ENOTDIR || err == ENAMETOOLONG || err == ELOOP;
}

std::string child_of(const std::string& directory, const std::string& name) {
    return directory.empty() ? name : directory + "/" + name;
}

void prepend(std::deque<std::string>& pending, const std::string& path) {
    auto parts = split(path, '/');
    pending.insert(pending.begin(), std::make_move_iterator(parts.begin()), std::make_move_iterator(parts.end()));
}

std::string read_link(int fd, const std::string& path) {
    std::array<char, 4096> target;
    const ssize_t size = ::readlinkat(fd, "", target.data(), target.size());
    if (size < 0) throw_errno("read the link", path);
    return {target.data(), static_cast<std::size_t>(size)};
}

class Matcher {
  public:
    Matcher(const SourceTree& tree, const std::string& pattern, bool any_depth) : tree_(tree), any_depth_(any_depth) {
        for (std::string& part : split(pattern, '/')) {
            if (!part.empty()) parts_.push_back(std::move(part));
        }
    }

    GlobMatches run() {
        match("", 0);
        std::sort(found_.paths.begin(), found_.paths.end());
        found_.paths.erase(std::unique(found_.paths.begin(), found_.paths.end()), found_.paths.end());
        return std::move(found_);
    }

  private:
    void match(const std::string& directory, std::size_t at) {
        if (at == parts_.size()) {
            found_.paths.push_back(directory);
            return;
        }
        const std::string& part = parts_[at];
        const bool any_directories = any_depth_ && part == "**";
        if (!any_directories && !parser::has_glob(part)) {
            // The last component's own fate is the caller's: it asks find_source() anyway.
            const std::string path = child_of(directory, part);
            if (find_source(tree_, path)) match(path, at + 1);
            return;
        }
        const bool last = at + 1 == parts_.size();
        if (any_directories && !last) match(directory, at + 1);
        const auto here = find_source(tree_, directory);
        if (!here || !S_ISDIR(here->stat.st_mode)) return;
        const UniqueFd fd = open_at(here->fd.get(), ".", O_RDONLY | O_DIRECTORY);
        for (const DirEntry& entry : list_directory(fd.get())) {
            if (!any_directories && !parser::glob_match(part, entry.name)) continue;
            const std::string path = child_of(directory, entry.name);
            const std::string real = child_of(here->path, entry.name);
            if (!is_visible(tree_, real, entry.type == DT_DIR || entry.type == DT_UNKNOWN)) {
                if (last && !found_.hidden) found_.hidden = real;
            } else if (last) {
                found_.paths.push_back(path);
            } else if (any_directories) {
                if (entry.type == DT_DIR) match(path, at);
            } else if (const auto found = find_source(tree_, path); found && S_ISDIR(found->stat.st_mode)) {
                match(path, at + 1);
            }
        }
    }

    const SourceTree& tree_;
    const bool any_depth_;
    std::vector<std::string> parts_;
    GlobMatches found_;
};

}  // namespace

bool is_visible(const SourceTree& tree, const std::string& path, bool is_directory) {
    if (tree.context == nullptr || path.empty()) return true;
    const parser::IgnoreRules& rules = tree.context->rules();
    return rules.empty() || !rules.ignored(path) || (is_directory && rules.may_contain_included(path));
}

std::optional<FoundSource> find_source(const SourceTree& tree, const std::string& path, std::string* missing) {
    struct Step {
        UniqueFd fd;
        std::string path;
        struct stat stat;
    };
    std::vector<Step> walked;
    {
        UniqueFd root = open_at(tree.root, ".", O_PATH | O_DIRECTORY);
        const struct stat stat = stat_fd(root.get());
        walked.push_back({std::move(root), "", stat});
    }
    std::deque<std::string> pending;
    prepend(pending, path);
    const auto none = [&](const std::string& at) {
        if (missing != nullptr) {
            *missing = at;
            for (const std::string& part : pending) *missing += "/" + part;
            *missing = clean_path(*missing).substr(1);
        }
        return std::nullopt;
    };
    int links = 0;
    while (!pending.empty()) {
        const std::string part = std::move(pending.front());
        pending.pop_front();
        if (part.empty() || part == ".") continue;
        if (part == "..") {
            if (walked.size() > 1) walked.pop_back();
            continue;
        }
        const std::string at = child_of(walked.back().path, part);
        UniqueFd fd(::openat(walked.back().fd.get(), part.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        if (!fd && is_absent(errno)) return none(at);
        if (!fd) throw_errno("look up", at);
        const struct stat stat = stat_fd(fd.get());
        if (!is_visible(tree, at, S_ISDIR(stat.st_mode))) return none(at);
        if (S_ISLNK(stat.st_mode)) {
            if (++links > max_symlinks) return none(at);
            const std::string target = read_link(fd.get(), at);
            if (target.starts_with('/')) walked.resize(1);
            prepend(pending, target);
            continue;
        }
        walked.push_back({std::move(fd), at, stat});
    }
    Step& last = walked.back();
    return FoundSource{std::move(last.path), last.stat, std::move(last.fd)};
}

void throw_changed(const std::string& path) {
    throw Error(ErrorCode::conflict, printable(path) + " changed while the build was reading it",
                "let what writes it finish, or exclude it in .dockerignore");
}

GlobMatches match_sources(const SourceTree& tree, const std::string& pattern, bool any_depth) {
    return Matcher(tree, pattern, any_depth).run();
}

}  // namespace mkimg::builder

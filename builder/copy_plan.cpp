#include "builder/copy_plan.h"

#include <sys/stat.h>

#include "base/error.h"
#include "base/text.h"
#include "base/tree_path.h"
#include "builder/source_path.h"

namespace mkimg::builder {
namespace {

std::string relative(std::string_view path) {
    return clean_path(path).substr(1);
}

bool has_glob(const std::string& path, bool any_depth) {
    return parser::has_glob(path) || (any_depth && path.find("**") != std::string::npos);
}

class Planner {
  public:
    Planner(const SourceTree& tree, CopyRequest request) {
        plan_.tree = tree;
        plan_.request = std::move(request);
    }

    CopyPlan run() {
        CopyRequest& request = plan_.request;
        if (!request.chmod.empty()) plan_.chmod = ChmodSpec::parse(request.chmod);
        if (!request.exclude.empty()) {
            plan_.excluded = parser::IgnoreRules::parse(join(request.exclude, "\n"), "--exclude");
        }
        plan_.target = join_path(request.working_dir, request.target);
        plan_.target_is_directory = request.target.empty() || request.target == "." || request.target.ends_with('/');
        const std::size_t sources = request.sources.size() + request.heredocs.size();
        if (sources == 0) fail(ErrorCode::recipe, "needs a source and a target");
        if (sources > 1 && !plan_.target_is_directory) {
            fail(ErrorCode::recipe,
                 "has " + std::to_string(sources) + " sources, but its target " + printable(request.target) +
                     " doesn't end in '/'",
                 "write " + printable(request.target) + "/ to copy into a directory");
        }
        for (const std::string& source : request.sources) add_source(source);
        if (!matched_ && request.heredocs.empty()) {
            fail(ErrorCode::not_found, join(request.sources, " ") + ": " +
                                           (hidden_ ? "what matches is " + plan_.tree.context->why_missing(*hidden_)
                                                    : "no file matches in " + where()));
        }
        return std::move(plan_);
    }

  private:
    [[noreturn]] void fail(ErrorCode code, const std::string& message, std::string hint = {}) const {
        throw Error(code, std::string(plan_.keyword()) + " " + message, std::move(hint));
    }

    std::string where() const { return plan_.tree.context != nullptr ? "the context" : "the image"; }

    // `end` is what was looked for in the end: not `path` where a symlink led away from it.
    [[noreturn]] void missing(const std::string& source, const std::string& path, const std::string& end) const {
        const BuildContext* context = plan_.tree.context;
        fail(ErrorCode::not_found,
             printable(source) + ": " +
                 (end != path ? "a symbolic link leads to " + printable(end) + ", which is " : "") +
                 (context != nullptr ? context->why_missing(end) : "not in the image"),
             context != nullptr ? "sources are paths relative to the build context" : "");
    }

    void add_source(const std::string& source) {
        const std::string path = relative(source);
        // --parents keeps what follows the first "/./" of a source.
        std::string pivot;
        if (const auto at = source.find("/./"); plan_.request.parents && at != std::string::npos) {
            pivot = relative(std::string_view(source).substr(0, at));
        }
        if (!has_glob(path, plan_.request.parents)) {
            add_item(source, path, pivot);
            return;
        }
        GlobMatches matches = match_sources(plan_.tree, path, plan_.request.parents);
        for (const std::string& match : matches.paths) add_item(match, match, pivot);
        if (!hidden_) hidden_ = std::move(matches.hidden);
    }

    void add_item(const std::string& source, const std::string& path, const std::string& pivot) {
        std::string end;
        auto found = find_source(plan_.tree, path, &end);
        if (!found) missing(source, path, end);
        matched_ = true;
        const mode_t mode = found->stat.st_mode;
        if (S_ISSOCK(mode)) fail(ErrorCode::recipe, printable(source) + " is a socket");
        CopyItem item;
        item.is_directory = S_ISDIR(mode);
        item.path = std::move(found->path);
        const std::string base = split_path("/" + path).second;
        if (!item.is_directory && (plan_.excluded.ignored(base) || plan_.excluded.ignored(path))) return;
        if (plan_.request.parents) {
            item.name = !pivot.empty() && path.size() > pivot.size() ? path.substr(pivot.size() + 1) : path;
            add_parents(item, pivot);
        } else if (!item.is_directory) {
            item.name = base;
        }
        plan_.items.push_back(std::move(item));
    }

    void add_parents(CopyItem& item, const std::string& pivot) const {
        for (std::size_t slash = item.name.find('/'); slash != std::string::npos;
             slash = item.name.find('/', slash + 1)) {
            const std::string name = item.name.substr(0, slash);
            const auto directory = find_source(plan_.tree, pivot + "/" + name);
            if (!directory) missing(name, name, name);
            const struct stat& stat = directory->stat;
            item.parents.push_back({name, stat.st_mode, stat.st_uid, stat.st_gid});
        }
    }

    CopyPlan plan_;
    bool matched_ = false;
    std::optional<std::string> hidden_;  // a match that the ignore rules hide
};

}  // namespace

std::uint32_t CopyPlan::mode_of_copy(std::uint32_t mode) const {
    return chmod && !S_ISLNK(mode) ? chmod->apply(mode & 07777U, S_ISDIR(mode)) : mode & 07777U;
}

CopyPlan plan_copy(const SourceTree& tree, CopyRequest request) {
    return Planner(tree, std::move(request)).run();
}

}  // namespace mkimg::builder

#include "builder/context.h"

#include <future>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/text.h"

namespace mkimg::builder {

struct BuildContext::Indexes {
    using Future = std::shared_future<std::shared_ptr<const TreeIndex>>;
    std::mutex mutex;
    std::map<std::string, Future> by_path;
};

BuildContext::BuildContext(UniqueFd root, parser::IgnoreRules rules, std::string ignore_file, int store)
    : root_(std::move(root)),
      rules_(std::move(rules)),
      ignore_file_(std::move(ignore_file)),
      stat_cache_(std::make_unique<StatCache>(store, root_.get())),
      indexes_(std::make_unique<Indexes>()) {}

// What was learnt of the files is kept. A cache that can't be written costs only the next build time.
BuildContext::~BuildContext() {
    try {
        stat_cache_->save();
    } catch (const Error&) {
    }
}

std::string BuildContext::why_missing(const std::string& path) const {
    if (!rules_.empty() && rules_.ignored(path)) {
        if (const auto pattern = rules_.deciding_pattern(path)) {
            return "not in the context; `" + printable(ignore_file_) + ":" + std::to_string(pattern->line) + "` (`" +
                   printable(pattern->text) + "`) excludes it";
        }
    }
    return "not in the context";
}

std::shared_ptr<const TreeIndex> BuildContext::index(const std::string& path, const MakeIndex& make) const {
    std::promise<std::shared_ptr<const TreeIndex>> promise;
    {
        std::unique_lock lock(indexes_->mutex);
        const auto [found, mine] = indexes_->by_path.try_emplace(path);
        if (!mine) {
            const Indexes::Future future = found->second;
            lock.unlock();
            return future.get();
        }
        found->second = promise.get_future().share();
    }
    try {
        promise.set_value(make());
    } catch (...) {
        promise.set_exception(std::current_exception());
    }
    return index(path, make);
}

}  // namespace mkimg::builder

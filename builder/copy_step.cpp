#include <fcntl.h>

#include "base/overlay.h"
#include "base/wire.h"
#include "builder/config_step.h"
#include "builder/copy.h"
#include "builder/step.h"
#include "builder/tree_digest.h"
#include "parser/expand.h"

namespace mkimg::builder {
namespace {

CopyRequest make_request(const parser::Instruction& line, const StageState& state, const StepServices& services) {
    CopyRequest request;
    request.add = line.keyword == parser::Keyword::add;
    request.unpack = request.add;
    const auto expand_flag = [&](std::string_view name) -> std::string {
        const parser::Flag* flag = line.flag(name);
        return flag == nullptr ? "" : expand_word(flag->value.value_or(""), state, services.escape);
    };
    request.chown = expand_flag("chown");
    request.chmod = expand_flag("chmod");
    request.working_dir = state.config.working_dir.empty() ? "/" : state.config.working_dir;
    request.epoch = services.request.epoch;
    parser::ExpandOptions options;
    options.escape = services.escape;
    for (const parser::Heredoc& heredoc : line.heredocs) {
        std::string content = heredoc.content;
        if (heredoc.expand) {
            content = parser::expand_heredoc(
                content, [&](std::string_view name) { return state.variable(name); }, options);
        }
        request.heredocs.push_back({heredoc.name, std::move(content)});
    }
    for (std::size_t i = 0; i + 1 < line.arguments.size(); ++i) {
        // Heredoc markers stand among the sources; their files were taken above.
        if (line.form != parser::Form::exec && line.arguments[i].starts_with("<<") && !line.heredocs.empty()) continue;
        request.sources.push_back(expand_word(line.arguments[i], state, services.escape));
    }
    request.target = expand_word(line.arguments.back(), state, services.escape);
    return request;
}

// Everything that decides which files of a tree a request means and how they arrive.
std::string request_key(const CopyRequest& request, const std::string& tree) {
    WireWriter writer;
    writer.text(tree).number(request.unpack ? 1 : 0).texts(request.sources).text(request.target);
    writer.text(request.working_dir).text(request.chown).text(request.chmod);
    return to_hex(sha256(writer.bytes()));
}

}  // namespace

StepOutcome copy_step(const parser::Instruction& line, const CopySourceLayers* from, const StageState& state,
                      const StepServices& services) {
    const CopyRequest request = make_request(line, state, services);

    // A stage's or image's tree is mounted only when the digest of what is taken from it isn't
    // known yet, or the files are really needed.
    UniqueFd view;
    std::optional<CopyPlan> plan;
    const auto planned = [&]() -> CopyPlan& {
        if (!plan) {
            SourceTree tree = source_tree(services.context);
            if (from != nullptr) {
                view = services.layers.mount_view(from->chain);
                tree = SourceTree{view.get(), nullptr};
            }
            plan = plan_copy(tree, request);
        }
        return *plan;
    };
    std::optional<std::string> digest;
    bool digested = false;
    const std::string memo_key =
        from == nullptr ? "" : request_key(request, from->chain ? from->chain->str() : "scratch");
    if (from != nullptr) digest = services.cache.memo("copy", memo_key);
    if (!digest) {
        digest = to_hex(content_digest(planned(), services.pool, &services.cancel));
        digested = true;
        if (from != nullptr) services.cache.put_memo("copy", memo_key, *digest);
    }

    CacheKey key(parser::name_of(line.keyword), state.chain);
    key.field("content", *digest)
        .field("sources", request.sources)
        .field("target", request.target)
        .field("directory", request.working_dir)
        .field("chown", request.chown)
        .field("chmod", request.chmod)
        .field("keeps owners", from != nullptr ? "yes" : "no")
        .field("epoch", request.epoch ? std::to_string(*request.epoch) : "");
    return cached_or_made(key, state, services, [&](layers::Snapshot& snapshot) {
        CopyPlan& copy = planned();
        // A digest known from an earlier build is of layers that can't have changed since.
        if (!digested) index_sources(copy, services.pool, &services.cancel);
        std::vector<int> lower;
        for (const UniqueFd& fd : snapshot.lower) lower.push_back(fd.get());
        const UniqueFd root = mount_overlay({lower, snapshot.upper.get(), snapshot.work.get()});
        execute_copy(copy, root.get(), services.pool, &services.cancel);
    });
}

}  // namespace mkimg::builder

// An image from nothing but a tree.
#include "base/error.h"
#include "base/tree_path.h"
#include "builder/config_step.h"
#include "builder/import.h"
#include "parser/instruction.h"

namespace mkimg::builder {

namespace {

// The instructions that docker import takes, and LABEL: they need no build.
bool is_allowed(parser::Keyword keyword) {
    using parser::Keyword;
    switch (keyword) {
        case Keyword::env:
        case Keyword::cmd:
        case Keyword::entrypoint:
        case Keyword::workdir:
        case Keyword::user:
        case Keyword::expose:
        case Keyword::label:
        case Keyword::volume: return true;
        default: return false;
    }
}

oci::ImageConfig apply_changes(const std::vector<std::string>& changes) {
    const BuildRequest request;
    BuildArgs args(request);
    const ArgScope no_globals;
    const std::map<std::string, std::string, std::less<>> no_predefined;
    const ConfigContext context{'\\', args, no_globals, no_predefined};
    StageState state;
    for (const auto& change : changes) {
        try {
            const auto instruction = parser::parse_trigger(change, "--change");
            if (!is_allowed(instruction.keyword)) {
                throw Error(ErrorCode::usage, std::string(parser::name_of(instruction.keyword)) + " can't be used here",
                            "there are ENV, CMD, ENTRYPOINT, WORKDIR, USER, EXPOSE, LABEL and VOLUME");
            }
            if (instruction.keyword == parser::Keyword::workdir) {
                const auto word = expand_word(instruction.arguments.at(0), state, context.escape);
                state.config.working_dir = join_path(state.config.working_dir, word);
            } else {
                apply_config_step(instruction, state, context);
            }
        } catch (Error& error) {
            throw std::move(error.add_context("--change " + change));
        }
    }
    return std::move(state.config);
}

}  // namespace

oci::Digest import_rootfs(oci::Store& store, layers::LayerStore& layers, Source& tar, const RootfsOptions& options) {
    oci::ImageConfig config = apply_changes(options.changes);
    const auto layer = layers.add(std::nullopt, tar, std::nullopt);
    if (layer.entries == 0) throw Error(ErrorCode::corrupt, "the archive holds no file");
    config.platform = options.platform;
    config.created = options.created;
    config.diff_ids = {layer.diff};
    config.history = {{.created = options.created,
                       .created_by = "mkimg import",
                       .author = {},
                       .comment = options.message,
                       .empty_layer = false}};
    return store.put_blob(config.to_json());
}

}  // namespace mkimg::builder

#include "builder/export_tree.h"

#include <exception>
#include <thread>

#include "base/error.h"
#include "base/overlay.h"
#include "layers/apply.h"
#include "layers/tree_tar.h"

namespace mkimg::builder {

void write_tree_archive(layers::LayerStore& layers, const std::optional<oci::ChainId>& top, int file,
                        const std::optional<std::int64_t>& epoch) {
    const UniqueFd view = layers.mount_view(top);
    FdSink sink(file);
    layers::write_tree_tar(view.get(), sink, {.overlay_marks = false, .root_entry = false, .epoch = epoch});
    sink.finish();
}

// Through a tar in a pipe: what unpacks layers knows how to put each kind of file over another.
void write_tree(layers::LayerStore& layers, const std::optional<oci::ChainId>& top, int directory,
                const std::optional<std::int64_t>& epoch) {
    Pipe pipe = make_pipe();
    std::exception_ptr read_failure;
    std::exception_ptr write_failure;
    {
        const std::jthread reader([&, out = std::move(pipe.write)]() mutable {
            const UniqueFd end = std::move(out);
            try {
                write_tree_archive(layers, top, end.get(), epoch);
            } catch (const Error& error) {
                // A closed pipe: the unpacking side has failed, and says itself why.
                if (error.code() != ErrorCode::broken_pipe) read_failure = std::current_exception();
            } catch (...) {
                read_failure = std::current_exception();
            }
        });
        const UniqueFd end = std::move(pipe.read);  // closed before the reader is waited for
        layers::ApplyOptions options;
        options.whiteouts = layers::Whiteouts::as_files;
        if (overlay_uses_user_xattrs()) options.owner = {0, 0};  // the user, seen from inside its namespace
        FdSource source(end.get());
        try {
            layers::apply_tar(source, directory, options);
        } catch (...) {
            write_failure = std::current_exception();
        }
    }
    // A tree that couldn't be read makes a tar that can't be unpacked: the first is the cause.
    if (read_failure) std::rethrow_exception(read_failure);
    if (write_failure) std::rethrow_exception(write_failure);
}

}  // namespace mkimg::builder

#include "builder/build_input.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/stream.h"
#include "base/tree_path.h"
#include "layers/apply.h"
#include "layers/compression.h"

namespace mkimg::builder {
namespace {

constexpr std::uint64_t recipe_limit = 4U << 20U;

std::string base_name(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

bool is_url(std::string_view text) {
    return text.starts_with("http://") || text.starts_with("https://") || text.starts_with("git@") ||
           text.starts_with("git://") || text.starts_with("ssh://");
}

// A regular file read through the context's root, wherever its symlinks point; nothing if there is none.
std::optional<std::string> read_in_context(int root, const std::string& name) {
    const auto file = try_open_in_root(root, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!file) return std::nullopt;
    if (!S_ISREG(stat_fd(file->get()).st_mode)) {
        throw Error(ErrorCode::recipe, name + " in the context is not a regular file");
    }
    return read_all(file->get(), recipe_limit, name);
}

std::optional<std::string> read_host_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
        throw_errno("open", path);
    }
    const UniqueFd file(fd);
    if (S_ISDIR(stat_fd(fd).st_mode)) throw Error(ErrorCode::usage, path + " is a directory, not a recipe");
    return read_all(fd, recipe_limit, path);
}

// A source that gives back what was read from it to look at it.
class Rewound final : public Source {
  public:
    Rewound(std::string head, Source& rest) : head_(std::move(head)), rest_(rest) {}
    std::size_t read(std::span<std::byte> buffer) override {
        if (at_ == head_.size()) return rest_.read(buffer);
        MemorySource head(std::string_view(head_).substr(at_));
        const std::size_t n = head.read(buffer);
        at_ += n;
        return n;
    }

  private:
    std::string head_;
    std::size_t at_ = 0;
    Source& rest_;
};

bool looks_like_tar(std::string_view head) {
    if (layers::detect(as_bytes(head)) != layers::Compression::none) return true;
    return head.size() >= 262 && head.substr(257, 5) == "ustar";
}

class Reader {
  public:
    Reader(const BuildRequest& request, oci::Store& store) : request_(request), store_(store) {}

    BuildInput read() {
        if (is_url(request_.context)) {
            throw Error(ErrorCode::unsupported, request_.context + ": a URL as context is not supported yet",
                        "clone or download it and give the directory");
        }
        if (request_.context == "-") {
            read_stdin();
        } else {
            open_directory();
        }
        if (input_.recipe_name.empty()) find_recipe();
        auto [rules, name] = ignore_rules();
        input_.context =
            std::make_unique<BuildContext>(std::move(root_), std::move(rules), std::move(name), store_.fd());
        return std::move(input_);
    }

  private:
    void open_directory() {
        const int fd = ::open(request_.context.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
            if (errno == ENOENT) {
                throw Error(ErrorCode::usage, "build context \"" + request_.context + "\" does not exist",
                            "give the directory that holds the files to copy, for example \".\"");
            }
            if (errno == ENOTDIR) {
                throw Error(ErrorCode::usage, "build context \"" + request_.context + "\" is not a directory",
                            "give the directory that holds the files to copy; a recipe is named with -f");
            }
            throw_errno("open build context", request_.context);
        }
        root_ = UniqueFd(fd);
    }

    // `-`: a tar is the context, anything else is a recipe without one.
    void read_stdin() {
        if (request_.file == "-") throw Error(ErrorCode::usage, "recipe and context can't both be read from stdin");
        std::string head(512, '\0');
        FdSource in(STDIN_FILENO);
        head.resize(read_full(in, std::as_writable_bytes(std::span(head))));
        Rewound whole(head, in);
        input_.unpacked.emplace(store_.make_work_dir());
        make_directory(input_.unpacked->fd(), "context", 0755);
        root_ = open_at(input_.unpacked->fd(), "context", O_RDONLY | O_DIRECTORY);
        if (looks_like_tar(head)) {
            layers::ApplyOptions options;
            options.whiteouts = layers::Whiteouts::as_files;
            const auto plain = layers::decompress(whole);
            layers::apply_tar(*plain, root_.get(), options);
            return;
        }
        if (!request_.file.empty()) {
            throw Error(ErrorCode::usage, "stdin holds a recipe, and -f names another",
                        "leave out -f, or send the context as a tar");
        }
        StringSink text;
        LimitedSource limited(whole, recipe_limit, "the recipe on stdin");
        copy(limited, text);
        input_.recipe_text = text.take();
        input_.recipe_name = "<stdin>";
    }

    void find_recipe() {
        if (request_.file == "-") {
            input_.recipe_text = read_all(STDIN_FILENO, recipe_limit, "the recipe on stdin");
            input_.recipe_name = "<stdin>";
            return;
        }
        if (!request_.file.empty()) {
            // As Docker: relative to the working directory; for a context from stdin, inside it.
            auto text = input_.unpacked ? read_in_context(root_.get(), request_.file) : read_host_file(request_.file);
            if (!text && !input_.unpacked && !request_.file.starts_with('/')) {
                text = read_in_context(root_.get(), request_.file);
            }
            if (!text) {
                throw Error(ErrorCode::usage, "recipe " + request_.file + " does not exist",
                            "-f names a file, relative to the working directory");
            }
            input_.recipe_text = std::move(*text);
            input_.recipe_name = request_.file;
            return;
        }
        for (const char* name : {"Dockerfile", "Containerfile"}) {
            if (auto text = read_in_context(root_.get(), name)) {
                input_.recipe_text = std::move(*text);
                input_.recipe_name = request_.context == "." || input_.unpacked ? name : request_.context + "/" + name;
                return;
            }
        }
        throw Error(ErrorCode::usage, "there is no Dockerfile or Containerfile in " + request_.context,
                    "name the recipe with -f FILE");
    }

    std::pair<parser::IgnoreRules, std::string> ignore_rules() {
        if (input_.recipe_name != "<stdin>") {
            const bool on_host = !request_.file.empty() && !input_.unpacked;
            const std::string beside =
                (request_.file.empty() ? base_name(input_.recipe_name) : request_.file) + ".dockerignore";
            const auto text = on_host ? read_host_file(beside) : read_in_context(root_.get(), beside);
            if (text) return {parser::IgnoreRules::parse(*text, beside), beside};
        }
        if (const auto text = read_in_context(root_.get(), ".dockerignore")) {
            return {parser::IgnoreRules::parse(*text, ".dockerignore"), ".dockerignore"};
        }
        return {};
    }

    const BuildRequest& request_;
    oci::Store& store_;
    BuildInput input_;
    UniqueFd root_;
};

}  // namespace

BuildInput read_input(const BuildRequest& request, oci::Store& store) {
    return Reader(request, store).read();
}

}  // namespace mkimg::builder

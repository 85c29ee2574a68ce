#include "builder/target_path.h"

#include <unistd.h>

#include <array>

#include "base/error.h"
#include "base/text.h"

namespace mkimg::builder {

FileTarget resolve_file_target(int root, const std::string& path, const NewDirectory& fresh) {
    constexpr int max_symlinks = 40;
    std::string at = path;
    for (int links = 0; links <= max_symlinks; ++links) {
        const std::size_t slash = at.rfind('/');
        const std::string parent = at.substr(0, slash + 1);
        const std::string name = at.substr(slash + 1);
        if (name.empty() || name == "." || name == "..") {
            throw Error(ErrorCode::recipe, printable(path) + " is a directory: a file can't replace it",
                        "end the target in '/' to copy into it");
        }
        UniqueFd directory = make_directories_in_root(root, parent, fresh);
        std::array<char, 4096> link;
        const ssize_t size = ::readlinkat(directory.get(), name.c_str(), link.data(), link.size());
        if (size < 0) return {std::move(directory), name};
        const std::string target(link.data(), static_cast<std::size_t>(size));
        // Not cleaned: ".." after a symlinked directory is that directory's own parent.
        at = target.starts_with('/') ? target : parent + target;
    }
    throw Error(ErrorCode::conflict, printable(path) + ": too many levels of symbolic links");
}

}  // namespace mkimg::builder

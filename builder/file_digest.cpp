#include "builder/file_digest.h"

#include "base/fd.h"
#include "base/wire.h"
#include "layers/xattrs.h"

namespace mkimg::builder {
namespace {

FileContent with_xattrs(const Sha256Bytes& bytes, const XattrList& xattrs) {
    if (xattrs.empty()) return {bytes, false};
    WireWriter writer;
    writer.text("xattrs").text(as_text(bytes)).number(xattrs.size());
    for (const auto& [name, value] : xattrs) writer.text(name).text(value);
    return {sha256(writer.bytes()), true};
}

}  // namespace

XattrList copied_xattrs(int fd, bool from_image) {
    thread_local layers::XattrReader reader(nullptr);
    XattrList xattrs;
    bool opaque = false;
    reader.read(fd, xattrs, opaque);
    if (!from_image) {
        std::erase_if(xattrs, [](const auto& xattr) { return !xattr.first.starts_with("user."); });
    }
    return xattrs;
}

FileContent file_content(std::string_view bytes, const XattrList& xattrs) {
    return with_xattrs(sha256(bytes), xattrs);
}

FileContent file_content(std::uint64_t size, const std::vector<Sha256Bytes>& chunks, const XattrList& xattrs) {
    WireWriter writer;
    writer.text("chunks").number(size);
    for (const Sha256Bytes& chunk : chunks) writer.text(as_text(chunk));
    return with_xattrs(sha256(writer.bytes()), xattrs);
}

}  // namespace mkimg::builder

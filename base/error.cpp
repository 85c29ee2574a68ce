#include "base/error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace mkimg {

int exit_status(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::usage:
        case ErrorCode::recipe:
        case ErrorCode::unsupported: return 2;
        case ErrorCode::host: return 3;
        case ErrorCode::cancelled: return 130;
        default: return 1;
    }
}

std::string_view name_of(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::usage: return "usage";
        case ErrorCode::recipe: return "recipe";
        case ErrorCode::not_found: return "not_found";
        case ErrorCode::denied: return "denied";
        case ErrorCode::conflict: return "conflict";
        case ErrorCode::corrupt: return "corrupt";
        case ErrorCode::unavailable: return "unavailable";
        case ErrorCode::unsupported: return "unsupported";
        case ErrorCode::build_failed: return "build_failed";
        case ErrorCode::host: return "host";
        case ErrorCode::cancelled: return "cancelled";
        case ErrorCode::broken_pipe: return "broken_pipe";
        case ErrorCode::internal: return "internal";
    }
    return "internal";
}

Error::Error(ErrorCode code, std::string message, std::string hint)
    : std::runtime_error(message), code_(code), message_(std::move(message)), hint_(std::move(hint)) {
    rebuild();
}

Error& Error::add_context(std::string note) {
    context_.push_back(std::move(note));
    rebuild();
    return *this;
}

Error& Error::set_where(SourceRange where) {
    where_ = std::move(where);
    return *this;
}

Error& Error::set_hint(std::string hint) {
    hint_ = std::move(hint);
    return *this;
}

Error& Error::set_detail(std::string detail) {
    detail_ = std::move(detail);
    return *this;
}

Error& Error::add_further(Error fault) {
    further_.push_back(std::move(fault));
    return *this;
}

const char* Error::what() const noexcept {
    return text_.c_str();
}

void Error::rebuild() {
    text_.clear();
    for (auto note = context_.rbegin(); note != context_.rend(); ++note) {
        text_ += *note;
        text_ += ": ";
    }
    text_ += message_;
}

namespace {

// Blanks as wide as the text. Tabs stay, for how wide they are is the terminal's affair.
std::string blank(std::string_view text) {
    std::string out;
    for (std::size_t from = 0;;) {
        const std::size_t tab = text.find('\t', from);
        out.append(display_width(text.substr(from, tab == std::string_view::npos ? tab : tab - from)), ' ');
        if (tab == std::string_view::npos) return out;
        out += '\t';
        from = tab + 1;
    }
}

}  // namespace

std::string render(const Error& error) {
    std::string out;
    const auto& where = error.where();
    if (where && where->line != 0) {
        out += printable(where->file) + ":" + std::to_string(where->line);
        if (where->column != 0) out += ":" + std::to_string(where->column);
        out += ": ";
    } else if (where && !where->file.empty()) {
        out += printable(where->file) + ": ";
    }
    out += "error: " + printable(error.what()) + "\n";
    if (where && where->line != 0) {
        const std::string number = std::to_string(where->line);
        out += "  " + number + " | " + printable(where->excerpt) + "\n";
        if (where->column != 0) {
            const std::size_t lead = std::min<std::size_t>(where->column - 1, where->excerpt.size());
            const std::string indent = blank(printable(where->excerpt.substr(0, lead)));
            std::size_t length = 1;
            // A range of combining characters alone has no width; the caret stays.
            if (where->end_line == where->line && where->end_column > where->column) {
                const std::size_t end = std::min<std::size_t>(where->end_column - 1, where->excerpt.size());
                if (end > lead) length = display_width(printable(where->excerpt.substr(lead, end - lead)));
                length = std::max<std::size_t>(length, 1);
            }
            out += "  " + std::string(number.size(), ' ') + " | " + indent + "^" + std::string(length - 1, '~') + "\n";
        }
    }
    if (!error.detail().empty()) {
        out += printable(error.detail());
        if (out.back() != '\n') out += '\n';
    }
    if (!error.hint().empty()) out += "  hint: " + printable(error.hint()) + "\n";
    for (const Error& fault : error.further()) out += render(fault);
    return out;
}

Error errno_error(int err, std::string_view operation, std::string_view subject) {
    ErrorCode code = ErrorCode::unavailable;
    std::string hint;
    switch (err) {
        case ENOENT:
        case ENOTDIR: code = ErrorCode::not_found; break;
        case EACCES:
        case EPERM:
        case EROFS: code = ErrorCode::denied; break;
        case EEXIST:
        case EBUSY: code = ErrorCode::conflict; break;
        case EINVAL:
        case EBADF:
        case EFAULT: code = ErrorCode::internal; break;
        case ENOSYS: code = ErrorCode::host; break;
        case EPIPE: code = ErrorCode::broken_pipe; break;
        case ENOSPC:
        case EDQUOT:
            hint =
                "the disk is full: free some space (mkimg prune removes what no image needs) and run the command again";
            break;
        case EMFILE:
        case ENFILE: hint = "too many open files: raise the limit (ulimit -n) and run the command again"; break;
        default: break;
    }
    std::string message(operation);
    if (!subject.empty()) message += " " + std::string(subject);
    message += ": ";
    message += std::strerror(err);
    return Error(code, std::move(message), std::move(hint));
}

void throw_errno(std::string_view operation, std::string_view subject) {
    throw errno_error(errno, operation, subject);
}

}  // namespace mkimg

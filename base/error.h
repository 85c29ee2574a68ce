// The one exception hierarchy of mkimg: every failure that reaches a person is an Error.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace mkimg {

// Says how a caller may react; exit_status() maps it to the documented exit status.
enum class ErrorCode {
    usage,         // wrong command line                                   -> 2
    recipe,        // a fault of the recipe or of an ignore file            -> 2
    not_found,     // a name, file or image does not exist                  -> 1
    denied,        // permission refused                                    -> 1
    conflict,      // exists already, or is in use                          -> 1
    corrupt,       // an archive, blob or store record is not what it says  -> 1
    unavailable,   // temporary: a full disk, a lock, a network             -> 1
    unsupported,   // valid, but not done by this version                   -> 2
    build_failed,  // a step's command failed                               -> 1
    host,          // this host can't do it (missing id ranges, kernel)     -> 3
    cancelled,     // SIGINT or SIGTERM                                     -> 130
    broken_pipe,   // whoever read our output has gone: no news to them     -> 1
    internal,      // a broken invariant of mkimg itself                    -> 1
};

int exit_status(ErrorCode code) noexcept;
std::string_view name_of(ErrorCode code) noexcept;

// A place in a text. Lines and columns count from 1, columns in bytes; 0 means unknown.
struct SourceRange {
    std::string file;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    std::uint32_t end_line = 0;
    std::uint32_t end_column = 0;  // one past the last byte
    std::string excerpt;           // the text of `line`, without its line end
};

class Error : public std::runtime_error {
  public:
    Error(ErrorCode code, std::string message, std::string hint = {});

    ErrorCode code() const noexcept { return code_; }
    // The cause alone, without context and place.
    const std::string& message() const noexcept { return message_; }
    // What the reader can do about it; may be empty.
    const std::string& hint() const noexcept { return hint_; }
    const std::optional<SourceRange>& where() const noexcept { return where_; }
    // Outermost last: "while unpacking layer sha256:…".
    const std::vector<std::string>& context() const noexcept { return context_; }

    // Each returns *this so that it can be thrown on: `throw std::move(e.add_context("…"))`.
    Error& add_context(std::string note);
    Error& set_where(SourceRange where);
    Error& set_hint(std::string hint);
    // Lines that render() shows as they are below the excerpt: the last output of a command.
    const std::string& detail() const noexcept { return detail_; }
    Error& set_detail(std::string detail);
    // Further faults of the same input, rendered after this one.
    const std::vector<Error>& further() const noexcept { return further_; }
    Error& add_further(Error fault);

    // message and context in one line, as what() does, made when asked for.
    const char* what() const noexcept override;

  private:
    void rebuild();

    ErrorCode code_;
    std::string message_;
    std::string hint_;
    std::optional<SourceRange> where_;
    std::vector<std::string> context_;
    std::string detail_;
    std::vector<Error> further_;
    std::string text_;
};

// The whole report for a terminal or log: file:line:column, the excerpt with a caret, the cause,
// its context and the hint. Ends with a newline. Control bytes in it are escaped.
std::string render(const Error& error);

// An Error whose code fits the errno (ENOENT not_found, EACCES/EPERM denied, ENOSPC/EDQUOT
// unavailable with a hint, …) and whose message is "OPERATION SUBJECT: strerror".
Error errno_error(int err, std::string_view operation, std::string_view subject = {});
[[noreturn]] void throw_errno(std::string_view operation, std::string_view subject = {});

}  // namespace mkimg

// Small text helpers: escaping for display, splitting, nearest names, sizes and durations in words.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mkimg {

// Control bytes and invalid UTF-8 as \xNN (tab and newline are kept), so that hostile names can't
// steer a terminal.
std::string printable(std::string_view bytes);

// Columns that a printable() text takes on a terminal (wcwidth of the C.UTF-8 locale).
std::size_t display_width(std::string_view text);

std::vector<std::string> split(std::string_view text, char separator);
std::string join(std::span<const std::string> parts, std::string_view separator);
std::string_view trim(std::string_view text);
std::string to_lower(std::string_view text);  // ASCII only
std::string to_upper(std::string_view text);  // ASCII only

// The candidate within a small edit distance of `word`, for "did you mean …".
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

// Decimal, digits only, the whole text; nothing on overflow.
std::optional<std::uint64_t> parse_u64(std::string_view text);

// "1.5 MiB", "312 B".
std::string human_size(std::uint64_t bytes);
// "0.42 s", "3 min 05 s".
std::string human_duration(double seconds);

// RFC 3339 in UTC with whole seconds: "2024-01-02T03:04:05Z".
std::string rfc3339(std::int64_t unix_seconds);
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

}  // namespace mkimg

// Base64 with padding (RFC 4648 section 4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mkimg {

std::string base64_encode(std::string_view bytes);
// Nothing for what base64_encode() would not have written: other characters, missing padding, stray bits.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace mkimg

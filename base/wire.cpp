#include "base/wire.h"

#include "base/error.h"

namespace mkimg {

WireWriter& WireWriter::number(std::uint64_t value) {
    for (unsigned shift = 0; shift < 64; shift += 8) bytes_ += static_cast<char>((value >> shift) & 0xFFU);
    return *this;
}

WireWriter& WireWriter::text(std::string_view value) {
    number(value.size());
    bytes_ += value;
    return *this;
}

WireWriter& WireWriter::texts(std::span<const std::string> values) {
    number(values.size());
    for (const std::string& value : values) text(value);
    return *this;
}

std::string_view WireReader::take(std::uint64_t size) {
    if (size > rest_.size()) throw Error(ErrorCode::corrupt, "a length-prefixed record ends early");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
}

std::uint64_t WireReader::number() {
    std::uint64_t value = 0;
    unsigned shift = 0;
    for (const char c : take(8)) {
        value |= static_cast<std::uint64_t>(static_cast<unsigned char>(c)) << shift;
        shift += 8;
    }
    return value;
}

std::string WireReader::text() {
    return std::string(take(number()));
}

std::vector<std::string> WireReader::texts() {
    std::vector<std::string> values;
    for (std::uint64_t left = number(); left != 0; --left) values.push_back(text());
    return values;
}

}  // namespace mkimg

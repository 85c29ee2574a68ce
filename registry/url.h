// http and https URLs, taken apart by libcurl's parser (RFC 3986).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mkimg::registry {

struct Url {
    std::string scheme;      // "http" or "https"
    std::string host;        // lower case; an IPv6 address without brackets
    std::uint16_t port = 0;  // never 0: the scheme's own where none is written
    std::string path;        // begins with '/'; still percent-encoded
    std::string query;       // without '?'; still percent-encoded

    // Throws Error(corrupt) for another scheme, user information, control bytes, or what is no URL.
    static Url parse(std::string_view text);
    // A reference relative to this URL (RFC 3986 section 5), as Location headers have it.
    Url resolve(std::string_view reference) const;

    // For a request: "https://host[:port]/path?query".
    std::string str() const;
    // For people and logs: without the query, in which signed URLs carry their secrets.
    std::string redacted() const;
    // "host[:port]", the port only where it isn't the scheme's own; IPv6 in brackets.
    std::string authority() const;

    // Credentials may follow where all three are equal.
    bool same_origin(const Url& other) const {
        return scheme == other.scheme && host == other.host && port == other.port;
    }
};

// "localhost", names below it, 127.0.0.0/8 and ::1. Exact: "localhost.example.com" is none.
bool is_loopback(std::string_view host);

// A value percent-encoded for a query or a form (RFC 3986 section 2).
std::string percent_encode(std::string_view text);

}  // namespace mkimg::registry

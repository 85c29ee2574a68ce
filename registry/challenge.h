// WWW-Authenticate (RFC 7235 sections 2.1 and 4.1).
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mkimg::registry {

struct Challenge {
    std::string scheme;                             // in lower case: "basic", "bearer"
    std::map<std::string, std::string> parameters;  // names in lower case
    std::string token68;                            // instead of parameters
};

// All challenges of the given header values, in order; one value may hold several. What follows a fault is
// left out: a server's mistakes are no reason to fail where another challenge can be answered.
std::vector<Challenge> parse_challenges(std::span<const std::string_view> values);

}  // namespace mkimg::registry

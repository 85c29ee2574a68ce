#include "builder/config_values.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "builder/config_step.h"

namespace mkimg::builder {
namespace {

constexpr std::array<std::string_view, 35> signal_names = {
    "ABRT", "ALRM", "BUS",  "CHLD", "CLD",  "CONT", "FPE",    "HUP",    "ILL",  "INT",  "IO",   "IOT",
    "KILL", "PIPE", "POLL", "PROF", "PWR",  "QUIT", "SEGV",   "STKFLT", "STOP", "SYS",  "TERM", "TRAP",
    "TSTP", "TTIN", "TTOU", "URG",  "USR1", "USR2", "VTALRM", "WINCH",  "XCPU", "XFSZ", "RTMIN"};

Error recipe_error(std::string message, std::string hint = {}) {
    return Error(ErrorCode::recipe, std::move(message), std::move(hint));
}

std::uint16_t parse_port(std::string_view text, std::string_view spec) {
    const auto port = parse_u64(text);
    if (!port || *port > 65535) {
        throw recipe_error("EXPOSE " + std::string(spec) + ": \"" + std::string(text) + "\" is not a port number",
                           "write PORT or FIRST-LAST, with /tcp, /udp or /sctp behind it where needed");
    }
    return static_cast<std::uint16_t>(*port);
}

}  // namespace

std::vector<std::string> shell_of(const oci::ImageConfig& config) {
    if (config.shell && !config.shell->empty()) return *config.shell;
    return {"/bin/sh", "-c"};
}

void check_signal(std::string_view signal) {
    if (const auto number = parse_u64(signal)) {
        if (*number >= 1 && *number <= 64) return;
    } else {
        std::string name = to_upper(signal);
        if (name.starts_with("SIG")) name.erase(0, 3);
        if (std::find(signal_names.begin(), signal_names.end(), name) != signal_names.end() || name == "RTMAX") return;
        for (const std::string_view base : {"RTMIN+", "RTMAX-"}) {
            const auto offset = name.starts_with(base) ? parse_u64(name.substr(base.size())) : std::nullopt;
            if (offset && *offset <= 30) return;
        }
    }
    throw recipe_error("STOPSIGNAL " + std::string(signal) + ": no such signal",
                       "use a name such as SIGTERM or a number from 1 to 64");
}

void check_user_number(std::string_view user) {
    for (const std::string& part : split(user, ':')) {
        const std::string_view digits =
            part.starts_with('-') || part.starts_with('+') ? std::string_view(part).substr(1) : std::string_view(part);
        if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) continue;
        const auto number = parse_u64(part);
        if (!number || *number > 4294967294ULL) {
            throw recipe_error("USER " + std::string(user) + ": " + part + " is out of range",
                               "use a number from 0 to 4294967294");
        }
    }
}

std::vector<std::string> expand_ports(std::string_view spec) {
    std::string_view ports = spec;
    std::string protocol = "tcp";
    if (const std::size_t slash = spec.find('/'); slash != std::string_view::npos) {
        protocol = to_lower(spec.substr(slash + 1));
        ports = spec.substr(0, slash);
    }
    if (protocol != "tcp" && protocol != "udp" && protocol != "sctp") {
        throw recipe_error("EXPOSE " + std::string(spec) + ": invalid protocol \"" + protocol + "\"",
                           "use tcp, udp or sctp");
    }
    // "host:container" publishes nothing in an image; the container's side counts, as in Docker.
    if (const std::size_t colon = ports.rfind(':'); colon != std::string_view::npos) ports.remove_prefix(colon + 1);
    const std::size_t dash = ports.find('-');
    const std::uint16_t first = parse_port(ports.substr(0, dash), spec);
    const std::uint16_t last = dash == std::string_view::npos ? first : parse_port(ports.substr(dash + 1), spec);
    if (last < first) throw recipe_error("EXPOSE " + std::string(spec) + ": the range ends before it begins");
    std::vector<std::string> out;
    for (unsigned port = first; port <= last; ++port) out.push_back(std::to_string(port) + "/" + protocol);
    return out;
}

std::int64_t parse_duration(std::string_view text) {
    const auto fail = [&] {
        return recipe_error("\"" + std::string(text) + "\" is not a duration",
                            "write a number with its unit, for example 30s, 1m30s or 500ms");
    };
    std::string_view rest = text;
    const bool negative = rest.starts_with('-');
    if (negative || rest.starts_with('+')) rest.remove_prefix(1);
    if (rest == "0") return 0;
    if (rest.empty()) throw fail();
    struct Unit {
        std::string_view name;
        long double nanoseconds;
    };
    constexpr std::array<Unit, 8> units = {{{"ns", 1.0L},
                                            {"us", 1e3L},
                                            {"\xC2\xB5s", 1e3L},
                                            {"\xCE\xBCs", 1e3L},
                                            {"ms", 1e6L},
                                            {"s", 1e9L},
                                            {"m", 60e9L},
                                            {"h", 3600e9L}}};
    long double total = 0;
    while (!rest.empty()) {
        std::size_t end = rest.find_first_not_of("0123456789.");
        if (end == 0 || end == std::string_view::npos) throw fail();
        const std::string number(rest.substr(0, end));
        if (number == "." || std::count(number.begin(), number.end(), '.') > 1) throw fail();
        rest.remove_prefix(end);
        end = rest.find_first_of("0123456789.");
        const std::string_view name = rest.substr(0, end);
        const auto* unit =
            std::find_if(units.begin(), units.end(), [&](const Unit& candidate) { return candidate.name == name; });
        if (unit == units.end()) throw fail();
        total += std::stold(number) * unit->nanoseconds;
        rest.remove_prefix(name.size());
    }
    if (total >= 9.2e18L) throw fail();
    const auto value = static_cast<std::int64_t>(std::llroundl(total));
    return negative ? -value : value;
}

}  // namespace mkimg::builder

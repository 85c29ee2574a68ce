#include "base/passwd.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "base/tree_path.h"

namespace mkimg {
namespace {

constexpr std::uint64_t file_limit = 10ULL << 20U;

std::vector<std::vector<std::string>> read_table(int root, const std::string& path, std::size_t fields) {
    // O_NONBLOCK and the look at the type before the read: the image may hold a FIFO or a device here.
    const auto handle = try_open_in_root(root, path, O_PATH);
    if (!handle || !S_ISREG(stat_fd(handle->get()).st_mode)) return {};
    const auto file = try_open_in_root(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!file) return {};
    const struct stat st = stat_fd(file->get());
    if (!S_ISREG(st.st_mode) || static_cast<std::uint64_t>(st.st_size) > file_limit) return {};
    std::vector<std::vector<std::string>> rows;
    for (const std::string& line : split(read_all(file->get(), file_limit, path + " of the image"), '\n')) {
        if (line.empty() || line.starts_with('#')) continue;
        auto row = split(line, ':');
        if (row.size() >= fields) rows.push_back(std::move(row));
    }
    return rows;
}

// Nothing where the text is no number at all; throws where it is one out of range.
std::optional<std::uint32_t> parse_id(std::string_view text) {
    const std::string_view digits = text.starts_with('-') || text.starts_with('+') ? text.substr(1) : text;
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    const auto value = parse_u64(text);
    if (!value || *value > 4294967294ULL) {
        throw Error(ErrorCode::recipe, "user or group number " + std::string(text) + " is out of range",
                    "use a number from 0 to 4294967294");
    }
    return static_cast<std::uint32_t>(*value);
}

struct Passwd {
    std::string name;
    uid_t uid;
    gid_t gid;
    std::string home;
};

std::optional<std::uint32_t> field_id(const std::string& text) {
    const auto value = parse_u64(text);
    if (!value || *value > 4294967294ULL) return std::nullopt;
    return static_cast<std::uint32_t>(*value);
}

std::vector<Passwd> read_passwd(int root) {
    std::vector<Passwd> users;
    for (auto& row : read_table(root, "/etc/passwd", 6)) {
        const auto uid = field_id(row[2]);
        const auto gid = field_id(row[3]);
        if (uid && gid) users.push_back({row[0], *uid, *gid, row[5]});
    }
    return users;
}

[[noreturn]] void unknown(std::string_view kind, std::string_view name, const char* file) {
    throw Error(
        ErrorCode::not_found,
        "unable to find " + std::string(kind) + " \"" + std::string(name) + "\": no such name in the image's " + file,
        "add it in an earlier RUN (for example with useradd or groupadd), or give its number");
}

gid_t resolve_group(int root, std::string_view name) {
    if (const auto gid = parse_id(name)) return *gid;
    for (const auto& row : read_table(root, "/etc/group", 3)) {
        if (row[0] == name) {
            if (const auto gid = field_id(row[2])) return *gid;
        }
    }
    unknown("group", name, "/etc/group");
}

}  // namespace

UserIds resolve_user(int root, std::string_view spec) {
    const std::size_t colon = spec.find(':');
    const std::string_view user = spec.substr(0, colon);
    const std::string_view group = colon == std::string_view::npos ? std::string_view() : spec.substr(colon + 1);
    const std::string_view wanted = user.empty() ? "0" : user;

    // A number is a number, also where the file has a user of that very name: as runc and Docker do.
    const auto number = parse_id(wanted);
    const auto users = read_passwd(root);
    const auto found = std::find_if(users.begin(), users.end(),
                                    [&](const Passwd& p) { return number ? p.uid == *number : p.name == wanted; });
    if (found == users.end() && !number) unknown("user", wanted, "/etc/passwd");
    UserIds ids;
    ids.uid = number.value_or(0);
    if (found != users.end()) {
        ids.uid = found->uid;
        ids.gid = found->gid;
        ids.home = found->home;
    }
    if (ids.home.empty()) ids.home = "/";
    if (!group.empty()) {
        ids.gid = resolve_group(root, group);
        return ids;
    }
    if (found != users.end()) {
        for (const auto& row : read_table(root, "/etc/group", 4)) {
            const auto members = split(row[3], ',');
            const auto gid = field_id(row[2]);
            if (gid && std::find(members.begin(), members.end(), found->name) != members.end())
                ids.groups.push_back(*gid);
        }
        std::sort(ids.groups.begin(), ids.groups.end());
        ids.groups.erase(std::unique(ids.groups.begin(), ids.groups.end()), ids.groups.end());
    }
    return ids;
}

Owner resolve_owner(int root, std::string_view spec) {
    const std::size_t colon = spec.find(':');
    const std::string_view user = spec.substr(0, colon);
    Owner owner;
    if (const auto uid = parse_id(user)) {
        owner = {*uid, *uid};
    } else if (!user.empty()) {
        const UserIds ids = resolve_user(root, user);
        owner = {ids.uid, ids.gid};
    }
    if (colon != std::string_view::npos)
        owner.gid = spec.size() > colon + 1 ? resolve_group(root, spec.substr(colon + 1)) : owner.gid;
    return owner;
}

}  // namespace mkimg

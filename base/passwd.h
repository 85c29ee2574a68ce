// USER and --chown: names looked up in the image's own /etc/passwd and /etc/group.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace mkimg {

struct UserIds {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;  // supplementary, ascending, without duplicates
    std::string home;           // of the uid; "/" where the image doesn't say
};

// `spec` is user[:group], each a name or a number from 0 to 4294967294. The files are read through
// `root` (a directory fd of the image's tree) as regular files of at most 10 MiB; anything else at
// their place, and a missing file, counts as empty. Supplementary groups are those that list the
// user, and none where a group is given (as Docker does). An empty spec is 0:0 with root's groups.
// Throws Error(not_found) for an unknown name, Error(recipe) for a number out of range.
UserIds resolve_user(int root, std::string_view spec);

// For COPY and ADD --chown: a number alone gives the same number as group, a name alone the user's
// own group in /etc/passwd.
struct Owner {
    uid_t uid = 0;
    gid_t gid = 0;
};
Owner resolve_owner(int root, std::string_view spec);

}  // namespace mkimg

#include "sandbox/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/error.h"
#include "sandbox/seccomp_profile.h"

namespace mkimg::sandbox {
namespace {

constexpr std::uint64_t bit(unsigned capability) {
    return std::uint64_t{1} << capability;
}

constexpr std::uint64_t kept_capabilities = bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_FSETID) | bit(CAP_FOWNER) |
                                            bit(CAP_MKNOD) | bit(CAP_NET_RAW) | bit(CAP_SETGID) | bit(CAP_SETUID) |
                                            bit(CAP_SETFCAP) | bit(CAP_SETPCAP) | bit(CAP_NET_BIND_SERVICE) |
                                            bit(CAP_SYS_CHROOT) | bit(CAP_KILL) | bit(CAP_AUDIT_WRITE);

void load_seccomp() {
    sock_fprog program{};
    program.len = static_cast<unsigned short>(seccomp_profile.size());
    program.filter = const_cast<sock_filter*>(seccomp_profile.data());  // the kernel only reads it
    // CAP_SYS_ADMIN stands in for no_new_privs here, hence before the capabilities go.
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) throw_errno("load the seccomp profile");
}

void drop_capabilities() {
    for (unsigned capability = 0; capability < 64; ++capability) {
        if ((kept_capabilities & bit(capability)) != 0) continue;
        if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
        if (errno == EINVAL) break;  // past the last one this kernel knows
        throw_errno("drop capabilities from the bounding set");
    }
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) throw_errno("clear the ambient capabilities");
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    if (::syscall(SYS_capget, &header, data.data()) != 0) throw_errno("read the capabilities");
    for (unsigned word = 0; word < 2; ++word) {
        // No more than there is: mkimg itself may run in a container that lacks some.
        data[word].permitted &= static_cast<std::uint32_t>(kept_capabilities >> (32 * word));
        data[word].effective = data[word].permitted;
        data[word].inheritable = 0;
    }
    if (::syscall(SYS_capset, &header, data.data()) != 0) throw_errno("set the capabilities");
}

void limit(int resource, rlim_t soft, rlim_t hard) {
    const auto which = static_cast<__rlimit_resource>(resource);
    rlimit value{};
    if (::getrlimit(which, &value) != 0) throw_errno("read a resource limit");
    value.rlim_max = std::min(value.rlim_max, hard);  // raising it takes a capability that may be missing
    value.rlim_cur = std::min(value.rlim_max, soft);
    if (::setrlimit(which, &value) != 0) throw_errno("set a resource limit");
}

// Programs reopen /dev/stdout; a pipe of root's would refuse them. One that somebody outside of the
// user namespace made can't be handed over; its owner decides.
void hand_over_pipes(uid_t uid) {
    for (int fd = 0; fd <= 2; ++fd) {
        struct stat st {};
        if (::fstat(fd, &st) != 0 || !S_ISFIFO(st.st_mode)) continue;
        if (::fchown(fd, uid, st.st_gid) != 0 && errno != EPERM && errno != EINVAL) {
            throw_errno("hand over the command's output");
        }
    }
}

[[noreturn]] void unmapped(const char* operation, std::uint64_t id) {
    Error error = errno_error(errno, operation, std::to_string(id));
    if (errno == EINVAL) {
        throw Error(
            ErrorCode::host, error.message(),
            "the user namespace has no such number: give your user larger ranges in /etc/subuid and /etc/subgid");
    }
    throw error;
}

}  // namespace

void restrict_privileges() {
    load_seccomp();
    drop_capabilities();
}

void set_limits() {
    limit(RLIMIT_NOFILE, 1024, 524288);  // many programs walk all descriptors up to the soft limit
    limit(RLIMIT_CORE, 0, RLIM_INFINITY);
    limit(RLIMIT_STACK, 8UL << 20U, RLIM_INFINITY);
}

void become_user(const Request& request) {
    if (request.uid != 0) hand_over_pipes(request.uid);
    if (::setgroups(request.groups.size(), request.groups.data()) != 0)
        unmapped("set supplementary groups of user", request.uid);
    if (::setresgid(request.gid, request.gid, request.gid) != 0) unmapped("become group", request.gid);
    if (::setresuid(request.uid, request.uid, request.uid) != 0) unmapped("become user", request.uid);
}

}  // namespace mkimg::sandbox

// Runs at build time: the profile as a BPF program in a header, so that loading it costs one system
// call at run time and no library.
#include <fcntl.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "sandbox/seccomp/profile.h"

namespace {

using namespace mkimg::sandbox;

void check(int result, const std::string& what) {
    if (result >= 0) return;
    std::fprintf(stderr, "seccomp profile: %s: %s\n", what.c_str(), std::strerror(-result));
    std::exit(1);
}

void allow(scmp_filter_ctx filter, std::string_view names) {
    std::istringstream words{std::string(names)};
    for (std::string name; words >> name;) {
        const int number = seccomp_syscall_resolve_name(name.c_str());
        if (number == __NR_SCMP_ERROR) continue;  // of another architecture
        const int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
        if (result != -EDOM) check(result, name);  // EDOM: this architecture has no such call
    }
}

void allow_with_arguments(scmp_filter_ctx filter) {
    // New namespaces (CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET) would give back
    // the capabilities that were taken.
    constexpr scmp_datum_t namespaces = 0x7E020000;
    check(seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces, 0)),
          "clone");
    // Its flags lie in memory, where a filter can't look: ENOSYS makes C libraries use clone.
    check(seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0), "clone3");
    // vsock reaches the hypervisor and its other guests, whatever the network namespace.
    constexpr scmp_datum_t vsock = 40;
    check(seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_NE, vsock)), "socket");
    for (const unsigned value : allowed_personalities) {
        check(seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1, SCMP_A0(SCMP_CMP_EQ, value)),
              "personality");
    }
}

std::vector<sock_filter> exported(scmp_filter_ctx filter) {
    const int file = memfd_create("profile", MFD_CLOEXEC);
    check(file < 0 ? -errno : 0, "memfd_create");
    check(seccomp_export_bpf(filter, file), "export");
    const off_t size = lseek(file, 0, SEEK_END);
    std::vector<sock_filter> program(static_cast<std::size_t>(size) / sizeof(sock_filter));
    check(pread(file, program.data(), static_cast<std::size_t>(size), 0) == size ? 0 : -EIO, "read back");
    close(file);
    return program;
}

// What goes before libseccomp's program: the numbers that it doesn't know.
std::vector<sock_filter> by_number() {
    constexpr std::uint32_t x32_bit = 0x40000000;
    return {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),  // seccomp_data.nr
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, x32_bit, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first_young_syscall, 0, 3),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last_young_syscall, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SCMP_ACT_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SCMP_ACT_ERRNO(ENOSYS)),
    };
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == nullptr) return 1;
    // A tree instead of a list of comparisons: the kernel walks it for every system call number when
    // the profile is loaded.
    check(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimize");
    const std::uint32_t native = seccomp_arch_native();
    if (native == SCMP_ARCH_X86_64) {
        check(seccomp_arch_add(filter, SCMP_ARCH_X86), "add x86");
        check(seccomp_arch_add(filter, SCMP_ARCH_X32), "add x32");
        allow(filter, allowed_on_x86);
    } else if (native == SCMP_ARCH_AARCH64) {
        check(seccomp_arch_add(filter, SCMP_ARCH_ARM), "add arm");
        allow(filter, allowed_on_arm);
    }
    allow(filter, allowed_syscalls);
    allow_with_arguments(filter);

    std::vector<sock_filter> program = by_number();
    const std::vector<sock_filter> rules = exported(filter);
    program.insert(program.end(), rules.begin(), rules.end());
    seccomp_release(filter);

    std::ofstream out(argv[1]);
    out << "// Generated from sandbox/seccomp/profile.h.\n#pragma once\n\n#include <linux/filter.h>\n\n#include "
           "<array>\n\n"
           "namespace mkimg::sandbox {\n\ninline constexpr std::array<sock_filter, "
        << program.size() << "> seccomp_profile = {{\n";
    for (const sock_filter& step : program) {
        out << "    {" << step.code << ", " << unsigned{step.jt} << ", " << unsigned{step.jf} << ", " << step.k
            << "U},\n";
    }
    out << "}};\n\n}  // namespace mkimg::sandbox\n";
    return out.flush() ? 0 : 1;
}

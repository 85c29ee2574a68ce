// The program between mkimg and the command: a container's process executes this, and this executes
// the command. While an image's program starts, /proc/self/exe is the file of the program before it;
// were that mkimg itself, a hostile loader, or a script whose interpreter is /proc/self/exe, would
// hold a descriptor of the host's mkimg (CVE-2019-5736). No library, hence system calls by hand.
//
// argv: the number of a descriptor, the path to execute, the command's argv. Where it can't be
// executed the errno goes to the descriptor.
#include <fcntl.h>
#include <sys/syscall.h>

namespace {

#if defined(__x86_64__)
asm(".globl _start\n"
    "_start:\n"
    "    mov %rsp, %rdi\n"
    "    and $-16, %rsp\n"
    "    call start\n");

long call(long number, long a, long b, long c) {
    long result;
    asm volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
asm(".globl _start\n"
    "_start:\n"
    "    mov x0, sp\n"
    "    bl start\n");

long call(long number, long a, long b, long c) {
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
#else
#error "the system call convention of this architecture is not known here"
#endif

long address(const void* pointer) {
    return reinterpret_cast<long>(pointer);
}

}  // namespace

// `stack` is as the kernel leaves it: argc, argv, a null, the environment.
extern "C" [[noreturn]] void start(long* stack) {
    constexpr int not_found = 127;
    const long argc = stack[0];
    char** const argv = reinterpret_cast<char**>(stack + 1);
    if (argc >= 3) {
        long report = 0;
        for (const char* digit = argv[0]; *digit != '\0'; ++digit) report = 10 * report + (*digit - '0');
        call(SYS_fcntl, report, F_SETFD, FD_CLOEXEC);
        const int error =
            static_cast<int>(-call(SYS_execve, address(argv[1]), address(argv + 2), address(argv + argc + 1)));
        call(SYS_write, report, address(&error), sizeof error);
    }
    for (;;) call(SYS_exit_group, not_found, 0, 0);
}

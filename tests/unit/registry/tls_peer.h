// Certificates, and servers that show them.
#pragma once

#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "tests/unit/temp_dir.h"

namespace mkimg::registry {

// Starts a program with these as its standard input, output and error; -1: nothing.
inline pid_t start(const std::vector<std::string>& arguments, int in, int out) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (in >= 0) posix_spawn_file_actions_adddup2(&actions, in, 0);
    if (out >= 0) posix_spawn_file_actions_adddup2(&actions, out, 1);
    std::vector<char*> raw;
    for (const std::string& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
    raw.push_back(nullptr);
    pid_t pid = -1;
    const int error = ::posix_spawnp(&pid, raw[0], &actions, nullptr, raw.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw errno_error(error, "start", arguments[0]);
    return pid;
}

inline void openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "openssl");
    int status = -1;
    ASSERT_GT(::waitpid(start(arguments, -1, -1), &status, 0), 0);
    ASSERT_EQ(status, 0) << arguments[1] << " " << arguments.back();
}

// A CA with certificates of its own: NAME.crt and NAME.key.
class Authority {
  public:
    explicit Authority(const TempDir& directory, const std::string& name) : directory_(directory), name_(name) {
        openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", "/CN=" + name, "-keyout", directory.path(name + ".key"), "-out",
                 directory.path(name + ".crt")});
    }
    std::string certificate() const { return directory_.path(name_ + ".crt"); }

    // `alternatives` as "DNS:example.com,IP:127.0.0.1"; -1 days have passed already.
    void issue(const std::string& name, const std::string& alternatives, int days = 2) const {
        directory_.write(name + ".ext", "subjectAltName=" + alternatives + "\n");
        openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
                 "-keyout", directory_.path(name + ".key"), "-out", directory_.path(name + ".csr")});
        openssl({"x509", "-req", "-in", directory_.path(name + ".csr"), "-CA", certificate(), "-CAkey",
                 directory_.path(name_ + ".key"), "-CAcreateserial", "-days", std::to_string(days), "-extfile",
                 directory_.path(name + ".ext"), "-out", directory_.path(name + ".crt")});
    }

  private:
    const TempDir& directory_;
    std::string name_;
};

class TlsServer {
  public:
    TlsServer(const TempDir& directory, const std::string& name, const std::vector<std::string>& options = {}) {
        std::vector<std::string> arguments{"python3", MKIMG_TEST_DATA "/../support/tls_server.py",
                                           directory.path(name + ".crt"), directory.path(name + ".key")};
        arguments.insert(arguments.end(), options.begin(), options.end());
        Pipe in = make_pipe();
        Pipe out = make_pipe();
        pid_ = start(arguments, in.read.get(), out.write.get());
        input_ = std::move(in.write);
        out.write.reset();
        char text[16] = {};
        const auto size = read_line(out.read.get(), text);
        port_ = std::string(text, size);
        EXPECT_FALSE(port_.empty()) << "the server did not start";
    }
    TlsServer(const TlsServer&) = delete;
    TlsServer& operator=(const TlsServer&) = delete;
    ~TlsServer() {
        input_.reset();
        ::waitpid(pid_, nullptr, 0);
    }

    std::string authority(const std::string& host = "127.0.0.1") const { return host + ":" + port_; }
    std::string url(const std::string& host = "127.0.0.1") const { return "https://" + authority(host) + "/v2/"; }

  private:
    static std::size_t read_line(int fd, std::span<char> text) {
        std::size_t size = 0;
        while (size < text.size() && ::read(fd, &text[size], 1) == 1 && text[size] != '\n') ++size;
        return size;
    }

    pid_t pid_ = -1;
    UniqueFd input_;
    std::string port_;
};

}  // namespace mkimg::registry

// Other tools as oracles.
#pragma once

#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/wait.h>

#include <string>

namespace mkimg::layers {

struct Ran {
    int status;
    std::string output;  // both streams
};

inline Ran run(const std::string& command) {
    FILE* pipe = ::popen(("export LC_ALL=C.UTF-8; " + command + " 2>&1").c_str(), "r");
    if (pipe == nullptr) return {-1, ""};
    Ran ran{0, ""};
    char buffer[4096];
    for (std::size_t n = 0; (n = ::fread(buffer, 1, sizeof buffer, pipe)) > 0;) ran.output.append(buffer, n);
    const int status = ::pclose(pipe);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return ran;
}

inline std::string output_of(const std::string& command) {
    const Ran ran = run(command);
    EXPECT_EQ(ran.status, 0) << command << "\n" << ran.output;
    return ran.output;
}

}  // namespace mkimg::layers

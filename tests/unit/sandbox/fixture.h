// Real containers on a tree that holds a static busybox. The tests run as root, and as an ordinary
// user with id ranges, alike.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/sandbox.h"

namespace mkimg::sandbox {

struct Result {
    Exit exit;
    std::string out;
    std::string err;
};

class SandboxTest : public testing::Test {
  protected:
    static void SetUpTestSuite();
    void SetUp() override;
    void TearDown() override;

    // A fresh directory of the test's own.
    UniqueFd make_layer(const std::string& name);
    std::string path_of(const std::string& name) const { return root_ + "/" + name; }

    // The image: `layers` (topmost first) over the tree with busybox. Each run gets an empty upper.
    Command command(std::vector<std::string> argv);
    Command shell(const std::string& script) { return command({"/bin/sh", "-c", script}); }
    Result run(Command& command);
    Result run(Command&& command) { return run(command); }
    Result run_shell(const std::string& script) { return run(shell(script)); }
    // A container whose output goes to a pipe.
    std::pair<Container, UniqueFd> start(Command&& command);

    std::vector<std::string> upper_names();  // all paths in upper, sorted

    std::vector<UniqueFd> layers;
    std::optional<Launcher> launcher;
    UniqueFd upper;
    UniqueFd work;

  private:
    void fresh_upper();

    std::string root_;
    int serial_ = 0;
};

// An anonymous file that collects output, and its content so far.
UniqueFd make_output();
std::string content_of(int fd);

void write_file(int directory, const std::string& name, std::string_view content);
void make_directories(int directory, const std::vector<std::string>& names);

// Expects an Error of that code and gives it back.
Error expect_error(ErrorCode code, const std::function<void()>& action);

}  // namespace mkimg::sandbox

// The life of a container: start, end, signals, death of those around it.
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <thread>

#include "fixture.h"

namespace mkimg::sandbox {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class LauncherTest : public SandboxTest {};

TEST_F(LauncherTest, ExitStatusAndSignal) {
    EXPECT_EQ(run(command({"/bin/true"})).exit.status, 0);
    const Result seven = run_shell("exit 7");
    EXPECT_EQ(seven.exit.status, 7);
    EXPECT_EQ(seven.exit.signal, 0);
    const Result killed = run_shell("kill -SEGV $$");
    EXPECT_EQ(killed.exit.status, 128 + SIGSEGV);
    EXPECT_EQ(killed.exit.signal, SIGSEGV);
}

TEST_F(LauncherTest, EnvironmentIsExactlyWhatWasGiven) {
    Command step = command({"/bin/env"});
    step.env = {"PATH=/bin", "A=1 2", "B="};
    EXPECT_EQ(run(step).out, "PATH=/bin\nA=1 2\nB=\nHOME=/\n");
    step = command({"/bin/env"});
    step.env = {"HOME=/there"};
    EXPECT_EQ(run(step).out, "HOME=/there\n");
}

TEST_F(LauncherTest, EnvironmentOfAMegabyte) {
    Command step = shell("echo ${#LAST}");
    for (int i = 0; i < 10; ++i) step.env.push_back("V" + std::to_string(i) + "=" + std::string(100000, 'x'));
    step.env.push_back("LAST=" + std::string(100000, 'y'));
    EXPECT_EQ(run(step).out, "100000\n");
}

TEST_F(LauncherTest, ProgramsAreLookedUpInPath) {
    layers.push_back(make_layer("layer"));
    make_directories(layers[0].get(), {"opt"});
    write_file(layers[0].get(), "opt/tool", "#!/bin/sh\necho found $1\n");
    Command step = command({"tool", "it"});
    step.env = {"PATH=/nowhere:/opt:/bin"};
    Result refused = run(step);
    EXPECT_EQ(refused.exit.status, 126);
    EXPECT_EQ(refused.err, "mkimg: exec /opt/tool: permission denied\n");
    ASSERT_EQ(::fchmodat(layers[0].get(), "opt/tool", 0755, 0), 0);
    step = command({"tool", "it"});
    step.env = {"PATH=/nowhere:/opt:/bin"};
    EXPECT_EQ(run(step).out, "found it\n");
    step = command({"true"});
    step.env = {};  // the default path holds /bin
    EXPECT_EQ(run(step).exit.status, 0);
}

TEST_F(LauncherTest, WhatCannotBeExecutedSaysWhy) {
    Result missing = run(command({"/nope"}));
    EXPECT_EQ(missing.exit.status, 127);
    EXPECT_EQ(missing.err, "mkimg: exec /nope: no such file or directory\n");
    missing = run(command({"nope"}));
    EXPECT_EQ(missing.exit.status, 127);
    EXPECT_EQ(missing.err, "mkimg: exec nope: not found in PATH (/bin)\n");
    EXPECT_EQ(run(command({""})).exit.status, 127);
    const Result directory = run(command({"/bin"}));
    EXPECT_EQ(directory.exit.status, 126);
    EXPECT_EQ(directory.err, "mkimg: exec /bin: permission denied\n");

    layers.push_back(make_layer("layer"));
    write_file(layers[0].get(), "script", "#!/no/interpreter\n");
    write_file(layers[0].get(), "text", "echo no\n");
    ASSERT_EQ(::fchmodat(layers[0].get(), "script", 0755, 0), 0);
    ASSERT_EQ(::fchmodat(layers[0].get(), "text", 0755, 0), 0);
    const Result script = run(command({"/script"}));
    EXPECT_EQ(script.exit.status, 127);
    EXPECT_THAT(script.err, HasSubstr("its interpreter"));
    const Result text = run(command({"/text"}));
    EXPECT_EQ(text.exit.status, 126);
    EXPECT_THAT(text.err, StartsWith("mkimg: exec /text: exec format error"));
}

TEST_F(LauncherTest, StandardInputIsNullOrWhatWasGiven) {
    EXPECT_EQ(run(command({"/bin/cat"})).out, "");
    EXPECT_EQ(run_shell("readlink /proc/self/fd/0").out, "/dev/null\n");
    const UniqueFd input = make_output();
    write_full(input.get(), "from outside");
    ASSERT_EQ(::lseek(input.get(), 0, SEEK_SET), 0);
    Command step = command({"/bin/cat"});
    step.stdin_fd = input.get();
    EXPECT_EQ(run(step).out, "from outside");
}

TEST_F(LauncherTest, OutputOfAnotherUser) {
    // Reopening /dev/stdout asks for permission anew: the pipe has to be the user's.
    Command step = shell("echo direct; echo reopened >/dev/stdout");
    step.user = "1000";
    auto [container, output] = start(std::move(step));
    EXPECT_EQ(container.wait().status, 0);
    EXPECT_EQ(read_all(output.get(), 100, "output"), "direct\nreopened\n");
}

TEST_F(LauncherTest, OrphansAreReaped) {
    // Ends only when no zombie is left.
    const Result result = run_shell(
        "for i in 1 2 3 4 5; do (true & true); done\n"
        "while grep -qs '^State:.*Z' /proc/[0-9]*/status; do :; done; echo clean");
    EXPECT_EQ(result.out, "clean\n");
}

TEST_F(LauncherTest, TheEndOfTheCommandIsTheEndOfAll) {
    auto [container, output] = start(shell("sleep 1000 & sleep 1000 & exit 3"));
    EXPECT_EQ(container.wait().status, 3);
    EXPECT_EQ(read_all(output.get(), 100, "output"), "");  // no process is left that holds the pipe
}

TEST_F(LauncherTest, DestroyingKillsTheWholeTree) {
    UniqueFd output;
    {
        auto [container, pipe] = start(shell("trap '' TERM INT HUP; sleep 1000 & echo up; sleep 1000 & wait"));
        output = std::move(pipe);
        std::byte first{};
        ASSERT_EQ(read_full(output.get(), std::span(&first, 1)), 1U);
    }
    EXPECT_EQ(read_all(output.get(), 100, "output"), "p\n");
}

TEST_F(LauncherTest, SignalsReachTheCommand) {
    auto [container, output] = start(shell("trap 'exit 42' TERM; echo; while :; do sleep 1000 & wait; done"));
    std::byte ready{};
    ASSERT_EQ(read_full(output.get(), std::span(&ready, 1)), 1U);
    container.signal(SIGTERM);
    pollfd event{container.event_fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&event, 1, -1), 1);
    EXPECT_EQ(container.wait().status, 42);
}

TEST_F(LauncherTest, SigkillEndsTheContainer) {
    auto [container, output] = start(shell("sleep 1000"));
    container.signal(SIGKILL);
    const Exit exit = container.wait();
    EXPECT_EQ(exit.signal, SIGKILL);
    EXPECT_EQ(exit.status, 128 + SIGKILL);
}

TEST_F(LauncherTest, TheCommandCannotKillItsInit) {
    EXPECT_EQ(run_shell("kill -9 1; kill -15 1; echo alive").out, "alive\n");
}

TEST_F(LauncherTest, NothingOutlivesAKilledParent) {
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);  // what the parent leaves becomes this process's
    Command step = shell("trap '' TERM; echo up; sleep 1000 & sleep 1000");
    Pipe pipe = make_pipe();
    step.stdout_fd = pipe.write.get();
    step.stderr_fd = pipe.write.get();
    launcher.reset();
    const pid_t parent = ::fork();
    ASSERT_GE(parent, 0);
    if (parent == 0) {
        Launcher own;
        const Container container = own.start(step);
        for (;;) ::pause();
    }
    pipe.write.reset();
    std::byte up{};
    ASSERT_EQ(read_full(pipe.read.get(), std::span(&up, 1)), 1U);
    ASSERT_EQ(::kill(parent, SIGKILL), 0);
    EXPECT_EQ(read_all(pipe.read.get(), 100, "output"), "p\n");  // the container is gone
    int ended = 0;
    while (::waitpid(-1, nullptr, 0) > 0) ++ended;  // comes back only when nothing is left
    EXPECT_EQ(ended, 3);                            // the parent, its launcher, the container's init
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

TEST_F(LauncherTest, ManyAtOnceFromManyThreads) {
    constexpr int count = 20;
    std::vector<Command> steps;
    std::vector<UniqueFd> kept;
    std::vector<UniqueFd> outputs;
    for (int i = 0; i < count; ++i) {
        Command step = shell("echo " + std::to_string(i) + " >/mark; cat /mark; exit " + std::to_string(i));
        outputs.push_back(make_output());
        step.stdout_fd = step.stderr_fd = outputs.back().get();
        kept.push_back(std::move(upper));
        kept.push_back(std::move(work));
        steps.push_back(std::move(step));
    }
    std::vector<int> statuses(count, -1);
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < count; ++i) {
            threads.emplace_back([&, i] { statuses[i] = launcher->start(steps[i]).wait().status; });
        }
    }
    for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(statuses[i], static_cast<int>(i));
        EXPECT_EQ(content_of(outputs[i].get()), std::to_string(i) + "\n");
    }
}

TEST_F(LauncherTest, TwoHundredLayers) {
    for (int i = 0; i < 199; ++i) {
        layers.push_back(make_layer("l" + std::to_string(i)));
        ASSERT_EQ(::symlinkat("bin", layers.back().get(), ("n" + std::to_string(i)).c_str()), 0);
    }
    EXPECT_EQ(run_shell("ls -d /n* | wc -l").out, "199\n");
}

TEST_F(LauncherTest, ASetUpThatFailsLeavesNothingRunning) {
    Command step = command({"/bin/true"});
    step.user = "nobody-knows";
    const Error error = expect_error(ErrorCode::not_found, [&] { run(step); });
    EXPECT_THAT(error.message(), HasSubstr("nobody-knows"));
    EXPECT_EQ(upper_names(), std::vector<std::string>{});
    EXPECT_EQ(run(command({"/bin/true"})).exit.status, 0);  // the launcher is well
}

}  // namespace
}  // namespace mkimg::sandbox

#include "sandbox/channel.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <thread>

#include "base/error.h"
#include "sandbox/request.h"

namespace mkimg::sandbox {
namespace {

TEST(Channel, RecordsOfAnySize) {
    const auto [a, b] = make_socket_pair(SOCK_STREAM);
    const std::string large(5'000'000, 'x');
    const UniqueFd file(::memfd_create("file", MFD_CLOEXEC));
    const std::vector<int> fds(600, file.get());  // more than one message holds
    std::jthread sender([&, socket = a.get()] {
        send_record(socket, large, fds);
        send_record(socket, "", {});
        send_record(socket, "small", {});
    });
    const Record first = receive_record(b.get());
    EXPECT_EQ(first.bytes, large);
    ASSERT_EQ(first.fds.size(), 600U);
    for (const UniqueFd& fd : first.fds) EXPECT_EQ(stat_fd(fd.get()).st_ino, stat_fd(file.get()).st_ino);
    EXPECT_EQ(receive_record(b.get()).bytes, "");
    EXPECT_EQ(receive_record(b.get()).bytes, "small");
}

TEST(Channel, EndOfStream) {
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    a.reset();
    EXPECT_EQ(receive_record(b.get()).bytes, "");
    EXPECT_THROW(send_record(b.get(), "x", {}), Error);
    auto [c, d] = make_socket_pair(SOCK_STREAM);
    write_full(c.get(), "12345");
    c.reset();
    EXPECT_THROW(receive_record(d.get()), Error);
}

TEST(Channel, AnswersCarryErrors) {
    const auto [a, b] = make_socket_pair(SOCK_STREAM);
    Error sent(ErrorCode::host, "no mount", "get one");
    sent.add_context("starting");
    send_error(a.get(), sent);
    try {
        receive_answer(b.get());
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::host);
        EXPECT_STREQ(error.what(), "starting: no mount");
        EXPECT_EQ(error.hint(), "get one");
    }
    send_status(a.get(), 0x0700);
    const Answer answer = receive_answer(b.get());
    EXPECT_EQ(answer.kind, Answer::Kind::status);
    EXPECT_EQ(answer.wait_status, 0x0700);
}

}  // namespace
}  // namespace mkimg::sandbox

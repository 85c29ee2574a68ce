#include "sandbox/channel.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace mkimg::sandbox {
namespace {

constexpr std::size_t batch = 250;  // below SCM_MAX_FD

struct Header {
    std::uint64_t bytes;
    std::uint64_t fds;
};

void send_some(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * batch)> control{};
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
    }
    while (part.iov_len != 0) {
        const ssize_t n = ::sendmsg(socket, &message, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) continue;
            throw_errno("send to the container's process");
        }
        part.iov_base = static_cast<std::byte*>(part.iov_base) + n;
        part.iov_len -= static_cast<std::size_t>(n);
        message.msg_control = nullptr;  // the descriptors went with the first byte
        message.msg_controllen = 0;
    }
}

// Fills the buffer unless the stream ends; appends the descriptors that come along.
std::size_t receive_some(int socket, std::span<std::byte> buffer, std::vector<UniqueFd>* fds) {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * batch)> control;
    std::size_t done = 0;
    while (done < buffer.size()) {
        iovec part{buffer.data() + done, buffer.size() - done};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        if (fds != nullptr) {
            message.msg_control = control.data();
            message.msg_controllen = control.size();
        }
        const ssize_t n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno == ECONNRESET) break;
            throw_errno("receive from another process of mkimg");
        }
        for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
            if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
            const std::size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (std::size_t i = 0; i < count; ++i) {
                int fd = -1;
                std::memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
                fds->emplace_back(fd);
            }
        }
        if ((message.msg_flags & MSG_CTRUNC) != 0) throw errno_error(EMFILE, "receive file descriptors");
        if (n == 0) break;
        done += static_cast<std::size_t>(n);
    }
    return done;
}

}  // namespace

std::pair<UniqueFd, UniqueFd> make_socket_pair(int type) {
    int ends[2];
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) throw_errno("make a socket pair");
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void send_record(int socket, std::string_view bytes, std::span<const int> fds) {
    const Header header{bytes.size(), fds.size()};
    send_some(socket, std::as_bytes(std::span(&header, 1)), fds.first(std::min(batch, fds.size())));
    constexpr std::byte carrier{0};
    for (std::size_t at = batch; at < fds.size(); at += batch) {
        send_some(socket, std::span(&carrier, 1), fds.subspan(at, std::min(batch, fds.size() - at)));
    }
    send_some(socket, as_bytes(bytes), {});
}

Record receive_record(int socket) {
    Record record;
    Header header{};
    const auto cut = [] { return Error(ErrorCode::internal, "a record from another process of mkimg ends early"); };
    const std::size_t got = receive_some(socket, std::as_writable_bytes(std::span(&header, 1)), &record.fds);
    if (got == 0) return record;
    if (got != sizeof header) throw cut();
    std::byte carrier{};
    while (record.fds.size() < header.fds) {
        if (receive_some(socket, std::span(&carrier, 1), &record.fds) == 0) throw cut();
    }
    record.bytes.resize(header.bytes);
    if (receive_some(socket, std::as_writable_bytes(std::span(record.bytes)), nullptr) != header.bytes) throw cut();
    return record;
}

void send_packet(int socket, char byte, int fd) {
    send_some(socket, std::as_bytes(std::span(&byte, 1)), std::span(&fd, 1));
}

std::pair<char, UniqueFd> receive_packet(int socket) {
    char byte = 0;
    std::vector<UniqueFd> fds;
    if (receive_some(socket, std::as_writable_bytes(std::span(&byte, 1)), &fds) == 0 || fds.empty()) return {};
    return {byte, std::move(fds.front())};
}

}  // namespace mkimg::sandbox

// A server for one test: a thread for each connection, on which the test's script reads and writes bytes as it
// likes. Behaves badly where a real server would not.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"

namespace mkimg::registry {

// One accepted connection. What is written to a client that has gone is lost, as for any server.
class Connection {
  public:
    Connection(UniqueFd fd, int stop) : fd_(std::move(fd)), stop_(stop) {}

    // The head of the next request, to its empty line; empty where the client closed.
    std::string read_head() {
        std::size_t end = 0;
        while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
            if (!fill()) return {};
        }
        return take(end + 4);
    }
    std::string read_bytes(std::size_t count) {
        while (buffer_.size() < count && fill()) continue;
        return take(std::min(count, buffer_.size()));
    }
    // A whole request: its head, and its body by Content-Length, which is asked for where the client waits for that.
    std::string read_request(std::string* body = nullptr) {
        const std::string head = read_head();
        const std::string lower = to_lower(head);
        if (lower.find("\r\nexpect: 100-continue") != lower.npos) write("HTTP/1.1 100 Continue\r\n\r\n");
        constexpr std::string_view name = "\r\ncontent-length: ";
        if (const auto at = lower.find(name); at != lower.npos) {
            const auto from = at + name.size();
            const auto length = parse_u64(lower.substr(from, lower.find('\r', from) - from));
            std::string read = read_bytes(length.value_or(0));
            if (body != nullptr) *body = std::move(read);
        }
        return head;
    }

    // False where the client has gone or the test is over.
    bool write(std::string_view text) {
        while (!text.empty()) {
            if (!wait(POLLOUT)) return false;
            const ssize_t n = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
            if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
        }
        return true;
    }
    // The connection is reset when it is closed.
    void reset() {
        const linger now{1, 0};
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
        fd_.reset();
    }
    // Says nothing until the client goes or the test is over.
    void hang() {
        while (fill()) buffer_.clear();
    }
    // Until the test is over, or so long.
    bool pause(int milliseconds) {
        pollfd stop{stop_, POLLIN, 0};
        return ::poll(&stop, 1, milliseconds) == 0;
    }

  private:
    bool wait(short events) {
        pollfd fds[] = {{fd_.get(), events, 0}, {stop_, POLLIN, 0}};
        while (::poll(fds, 2, -1) < 0) continue;
        return fds[1].revents == 0;
    }
    bool fill() {
        if (!wait(POLLIN)) return false;
        char chunk[65536];
        const ssize_t n = ::recv(fd_.get(), chunk, sizeof chunk, 0);
        if (n <= 0) return false;
        buffer_.append(chunk, static_cast<std::size_t>(n));
        return true;
    }
    std::string take(std::size_t count) {
        std::string out = buffer_.substr(0, count);
        buffer_.erase(0, count);
        return out;
    }

    UniqueFd fd_;
    int stop_;
    std::string buffer_;
};

// A socket that listens at some port of 127.0.0.1.
class Listener {
  public:
    explicit Listener(int queue) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        address_.sin_family = AF_INET;
        address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address_;
        if (::bind(fd_.get(), address(), size) != 0 || ::listen(fd_.get(), queue) != 0) throw_errno("listen");
        if (::getsockname(fd_.get(), address(), &size) != 0) throw_errno("getsockname");
    }
    int fd() const { return fd_.get(); }
    std::uint16_t port() const { return ntohs(address_.sin_port); }
    sockaddr* address() { return reinterpret_cast<sockaddr*>(&address_); }
    std::string url(const std::string& path = "/") const { return "http://127.0.0.1:" + std::to_string(port()) + path; }

  private:
    UniqueFd fd_;
    sockaddr_in address_{};
};

// One whose queue of connections is full: the kernel leaves further ones without an answer.
class FullListener {
  public:
    FullListener() {
        for (UniqueFd& filler : fillers_) {
            filler = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            ::connect(filler.get(), listener_.address(), sizeof(sockaddr_in));
        }
    }
    std::string url() const { return listener_.url(); }

  private:
    Listener listener_{0};
    std::array<UniqueFd, 4> fillers_;
};

class HttpServer {
  public:
    using Script = std::function<void(Connection&)>;

    explicit HttpServer(Script script)
        : script_(std::move(script)), stop_(make_pipe()), acceptor_([this] { accept_all(); }) {}
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;
    ~HttpServer() {
        stop_.write.reset();  // the other end becomes readable for all
        acceptor_.join();
        for (std::thread& thread : threads_) thread.join();
    }

    std::uint16_t port() const { return listener_.port(); }
    std::string url(const std::string& path = "/") const { return listener_.url(path); }
    int connections() const { return connections_; }

  private:
    void accept_all() {
        for (;;) {
            pollfd fds[] = {{listener_.fd(), POLLIN, 0}, {stop_.read.get(), POLLIN, 0}};
            if (::poll(fds, 2, -1) < 0) continue;
            if (fds[1].revents != 0) return;
            UniqueFd fd(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!fd) continue;
            ++connections_;
            threads_.emplace_back([this, connection = std::make_shared<Connection>(std::move(fd), stop_.read.get())] {
                script_(*connection);
            });
        }
    }

    Script script_;
    Pipe stop_;
    Listener listener_{64};
    std::atomic<int> connections_{0};
    std::list<std::thread> threads_;
    std::thread acceptor_;  // last: it uses the others
};

// A script that answers every request of a connection with the same bytes.
inline HttpServer::Script answering(std::string answer) {
    return [answer = std::move(answer)](Connection& connection) {
        while (!connection.read_request().empty() && connection.write(answer)) continue;
    };
}

}  // namespace mkimg::registry

#include "sandbox/request.h"

#include "base/wire.h"

namespace mkimg::sandbox {
namespace {

WireWriter answer(Answer::Kind kind) {
    WireWriter wire;
    wire.number(static_cast<std::uint64_t>(kind));
    return wire;
}

}  // namespace

void send_request(int socket, const Request& request) {
    std::vector<int> fds = {request.root.get(), request.stdout_fd.get(), request.stderr_fd.get()};
    if (request.stdin_fd) fds.push_back(request.stdin_fd.get());
    WireWriter wire;
    wire.number(request.stdin_fd ? 1 : 0).number(request.mounts.size());
    for (const MountRequest& mount : request.mounts) {
        wire.text(mount.target).number(mount.directory ? 1 : 0);
        fds.push_back(mount.tree.get());
    }
    wire.texts(request.argv).texts(request.env).number(request.uid).number(request.gid);
    wire.number(request.groups.size());
    for (const gid_t group : request.groups) wire.number(group);
    wire.text(request.working_dir).number(request.private_network ? 1 : 0).text(request.hostname);
    wire.text(request.hosts).text(request.resolv_conf).number(request.shm_size);
    send_record(socket, wire.bytes(), fds);
}

Request receive_request(int socket) {
    Record record = receive_record(socket);
    Request request;
    if (record.bytes.empty()) return request;
    WireReader wire(record.bytes);
    auto next = record.fds.begin();
    const auto take = [&] {
        if (next == record.fds.end()) throw Error(ErrorCode::internal, "a request to the launcher lacks a descriptor");
        return std::move(*next++);
    };
    request.root = take();
    request.stdout_fd = take();
    request.stderr_fd = take();
    if (wire.number() != 0) request.stdin_fd = take();
    for (std::uint64_t left = wire.number(); left != 0; --left) {
        MountRequest& mount = request.mounts.emplace_back();
        mount.target = wire.text();
        mount.directory = wire.number() != 0;
        mount.tree = take();
    }
    request.argv = wire.texts();
    request.env = wire.texts();
    request.uid = static_cast<uid_t>(wire.number());
    request.gid = static_cast<gid_t>(wire.number());
    for (std::uint64_t left = wire.number(); left != 0; --left) {
        request.groups.push_back(static_cast<gid_t>(wire.number()));
    }
    request.working_dir = wire.text();
    request.private_network = wire.number() != 0;
    request.hostname = wire.text();
    request.hosts = wire.text();
    request.resolv_conf = wire.text();
    request.shm_size = wire.number();
    return request;
}

void send_started(int socket, int pidfd) {
    send_record(socket, answer(Answer::Kind::started).bytes(), std::span(&pidfd, 1));
}

void send_status(int socket, int wait_status) {
    send_record(socket, answer(Answer::Kind::status).number(static_cast<std::uint64_t>(wait_status)).bytes(), {});
}

void send_error(int socket, const Error& error) {
    WireWriter wire = answer(Answer::Kind::error);
    wire.number(static_cast<std::uint64_t>(error.code()))
        .text(error.message())
        .text(error.hint())
        .texts(error.context());
    send_record(socket, wire.bytes(), {});
}

Answer receive_answer(int socket) {
    Record record = receive_record(socket);
    if (record.bytes.empty()) return {};
    WireReader wire(record.bytes);
    Answer result;
    result.kind = static_cast<Answer::Kind>(wire.number());
    if (result.kind == Answer::Kind::started && !record.fds.empty()) result.pidfd = std::move(record.fds.front());
    if (result.kind == Answer::Kind::status) result.wait_status = static_cast<int>(wire.number());
    if (result.kind != Answer::Kind::error) return result;
    const auto code = static_cast<ErrorCode>(wire.number());
    std::string message = wire.text();
    Error error(code, std::move(message), wire.text());
    for (std::string& note : wire.texts()) error.add_context(std::move(note));
    throw error;
}

}  // namespace mkimg::sandbox

// Records and descriptors through a stream socket, of any size and number: one message holds at most
// 253 descriptors (SCM_MAX_FD) and a packet some 200 KB, an environment may be megabytes.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace mkimg::sandbox {

std::pair<UniqueFd, UniqueFd> make_socket_pair(int type);

struct Record {
    std::string bytes;
    std::vector<UniqueFd> fds;
};

// Throw Error(unavailable) where the other side is gone; receive_record gives an empty record at the
// end of the stream. Every descriptor is received close-on-exec.
void send_record(int socket, std::string_view bytes, std::span<const int> fds);
Record receive_record(int socket);

// One packet with one descriptor, for SOCK_SEQPACKET: it arrives whole or not at all, so that any
// number of threads may send. receive_packet gives no descriptor at the end of the stream.
void send_packet(int socket, char byte, int fd);
std::pair<char, UniqueFd> receive_packet(int socket);

}  // namespace mkimg::sandbox

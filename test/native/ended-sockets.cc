// Reads broadcasts of ended sockets, some of which no kernel would send, and prints the outcome of
// each.
#include "../../native/kernel/ended_sockets.h"

#include <arpa/inet.h>
#include <cstdio>
#include <cstring>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <vector>

namespace {

using namespace socket_tuner::kernel;
using Bytes = std::vector<uint8_t>;

constexpr std::size_t kMost = 4;

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes Attribute(uint16_t type, const Bytes& data, int length = -1) {
  rtattr header{};
  header.rta_type = type;
  header.rta_len = static_cast<uint16_t>(length < 0 ? RTA_LENGTH(data.size()) : length);
  Bytes bytes(RTA_SPACE(data.size()));
  std::memcpy(bytes.data(), &header, sizeof(header));
  if (!data.empty()) std::memcpy(bytes.data() + RTA_LENGTH(0), data.data(), data.size());
  return bytes;
}

Bytes Broadcast(uint16_t port, const Bytes& attributes = {}, uint16_t type = SOCK_DIAG_BY_FAMILY,
                std::size_t body = sizeof(inet_diag_msg)) {
  inet_diag_msg message{};
  message.idiag_family = AF_INET;
  message.idiag_state = 7;
  message.idiag_rqueue = 3;
  message.id.idiag_sport = htons(port);
  message.id.idiag_dport = htons(443);
  message.id.idiag_src[0] = htonl(0x7f000001);
  message.id.idiag_cookie[0] = 5;
  message.id.idiag_cookie[1] = 1;
  nlmsghdr header{};
  header.nlmsg_len = static_cast<uint32_t>(sizeof(header) + body + attributes.size());
  header.nlmsg_type = type;
  Bytes bytes(sizeof(header) + body);
  std::memcpy(bytes.data(), &header, sizeof(header));
  std::memcpy(bytes.data() + sizeof(header), &message, body);
  return bytes + attributes;
}

// Prints the result; of the first socket its port, and the length and the last byte of its info.
void Print(const char* name, const Bytes& datagram) {
  // Memory of exactly this length, so that an access beyond it is detected.
  const Bytes exact(datagram);
  EndedSocket sockets[kMost]{};
  const int count = ReadEndedSockets(exact.data(), exact.size(), sockets, kMost);
  const EndedSocket& first = sockets[0];
  std::printf("[\"%s\", %d, %d, %u, %d]\n", name, count, first.local_port, first.info_length,
              first.info_length == 0 ? 0 : first.info[first.info_length - 1]);
}

void PrintFields() {
  const Bytes datagram = Broadcast(80);
  EndedSocket socket{};
  const int count = ReadEndedSockets(datagram.data(), datagram.size(), &socket, 1);
  std::printf("[\"fields\", %d, %d, %u, %d]\n", count, socket.remote_port, socket.unread,
              socket.cookie == 0x100000005 && socket.local_address[0] == 127 ? 1 : 0);
}

}  // namespace

int main() {
  const Bytes info = Attribute(INET_DIAG_INFO, Bytes(232, 9));
  const Bytes protocol = Attribute(INET_DIAG_PROTOCOL, {6});
  Print("a socket", Broadcast(80, protocol + info));
  Print("a socket without info", Broadcast(80));
  Print("info of a newer kernel", Broadcast(80, Attribute(INET_DIAG_INFO, Bytes(400, 9))));
  Print("two sockets", Broadcast(80, info) + Broadcast(81, info));
  Print("more sockets than there is room for",
        Broadcast(80) + Broadcast(81) + Broadcast(82) + Broadcast(83) + Broadcast(84));
  Print("another message", Broadcast(80, info, 77));
  Print("nothing", {});
  Print("half a socket", Broadcast(80, {}, SOCK_DIAG_BY_FAMILY, 40));
  Print("an attribute beyond the message", Broadcast(80, Attribute(INET_DIAG_INFO, {1, 2}, 200)));
  Print("an attribute of length 0", Broadcast(80, Attribute(INET_DIAG_INFO, {1, 2}, 0)));
  Print("half an attribute", Broadcast(80, {4, 0}));
  PrintFields();
  return 0;
}

// Feeds the receiver of inet_diag with answers that no kernel would send, through a pair of
// sockets, and prints the outcome of each.
#include "../../native/kernel/sock_diag_dump.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <thread>
#include <vector>

namespace {

using namespace socket_tuner::kernel;
using Bytes = std::vector<uint8_t>;
using Send = std::function<bool(const Bytes&)>;
using MayAnswer = bool (*)(const sockaddr_storage&, socklen_t);

constexpr uint32_t kSequence = 7;
constexpr uint32_t kByAll = 63;
constexpr std::size_t kMaxGroups = 1000;

Bytes Whole(uint16_t type, const void* body, std::size_t length, uint32_t sequence = kSequence,
            uint16_t flags = NLM_F_MULTI) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<uint32_t>(sizeof(header) + length);
  header.nlmsg_type = type;
  header.nlmsg_flags = flags;
  header.nlmsg_seq = sequence;
  Bytes bytes(NLMSG_ALIGN(sizeof(header) + length));
  std::memcpy(bytes.data(), &header, sizeof(header));
  if (length > 0) std::memcpy(bytes.data() + sizeof(header), body, length);
  return bytes;
}

Bytes Coded(uint16_t type, int code, uint32_t sequence = kSequence) {
  return Whole(type, &code, sizeof(code), sequence);
}

Bytes Socket(uint16_t port, uint16_t flags = NLM_F_MULTI) {
  inet_diag_msg message{};
  message.idiag_family = AF_INET;
  message.idiag_state = 6;
  message.id.idiag_sport = htons(port);
  return Whole(SOCK_DIAG_BY_FAMILY, &message, sizeof(message), kSequence, flags);
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes WithLength(Bytes message, uint32_t length) {
  std::memcpy(message.data(), &length, sizeof(length));
  return message;
}

bool FromAnyone(const sockaddr_storage&, socklen_t) { return true; }
bool FromNobody(const sockaddr_storage&, socklen_t) { return false; }

struct Outcome {
  int result;
  std::size_t sockets;
  bool interrupted;
};

// A timeout for answers that must end by it. All others have time enough for a slow machine.
Patience Little() {
  Patience patience;
  patience.silence_ms = 100;
  patience.total_ms = 300;
  return patience;
}

// Receives the messages of `feed`, which must stop when `send` returns false.
Outcome Dump(const std::function<void(const Send&)>& feed, const Patience& patience = {},
             MayAnswer may_answer = FromAnyone, bool ends = false) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return {-errno, 0, false};
  const Descriptor theirs(pair[1]);
  SocketDump dump(kByAll, kMaxGroups);
  int result = 0;
  std::thread feeder([&] {
    feed([&](const Bytes& bytes) {
      return send(theirs.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0;
    });
    if (ends) shutdown(theirs.get(), SHUT_WR);
  });
  {
    const Descriptor mine(pair[0]);
    result = Receive(mine.get(), kSequence, &dump, patience, may_answer);
  }
  feeder.join();
  return {result, dump.total(), dump.interrupted()};
}

Outcome Dump(const std::vector<Bytes>& datagrams) {
  return Dump([&](const Send& send) {
    for (const Bytes& datagram : datagrams) send(datagram);
  });
}

Outcome DumpForEver(const Bytes& datagram, MayAnswer may_answer = FromAnyone) {
  const auto feed = [&](const Send& send) {
    while (send(datagram)) continue;
  };
  return Dump(feed, Little(), may_answer);
}

void Print(const char* name, const Outcome& outcome) {
  std::printf("[\"%s\", %d, %zu, %s]\n", name, outcome.result, outcome.sockets,
              outcome.interrupted ? "true" : "false");
}

void Answers() {
  const Bytes done = Coded(NLMSG_DONE, 0);
  const Bytes one = Socket(1);
  Print("a socket and the end", Dump({one + done}));
  Print("many datagrams", Dump({one, Socket(2) + Socket(3), done}));
  Print("a message for another request",
        Dump({Coded(NLMSG_DONE, 0, 6) + Coded(NLMSG_ERROR, -1, 8), done}));
  Print("an unknown kind of message", Dump({Whole(77, "abc", 3) + one + done}));
  Print("the mark that the table changed", Dump({Socket(1, NLM_F_MULTI | NLM_F_DUMP_INTR) + done}));
  Print("a dump that failed in the middle", Dump({one, Coded(NLMSG_DONE, -ENOMEM)}));
  Print("a refusal", Dump({Coded(NLMSG_ERROR, -EPERM)}));
  Print("an acknowledgement", Dump({Coded(NLMSG_ERROR, 0)}));
  Print("a positive errno", Dump({Coded(NLMSG_DONE, 5)}));
  Print("an end without a code", Dump({Whole(NLMSG_DONE, "", 0)}));
  Print("an error without a code", Dump({Whole(NLMSG_ERROR, "", 0)}));
  Print("half a socket", Dump({Whole(SOCK_DIAG_BY_FAMILY, "half", 4)}));
  Print("a message of length 0", Dump({WithLength(one, 0)}));
  Print("a message shorter than its header", Dump({WithLength(one, 15)}));
  Print("a message longer than the datagram", Dump({WithLength(one, 4096)}));
  Print("a message of 4 GiB", Dump({WithLength(one, UINT32_MAX)}));
  Print("half a header after the last message", Dump({one + Bytes(7), done}));
  Print("a datagram that does not fit", Dump({Bytes(70'000)}));
  Print("the end of the connection", Dump([](const Send&) {}, {}, FromAnyone, true));
  Print("silence", Dump([](const Send&) {}, Little()));
  Print("sockets without end", DumpForEver(one));
  Print("other messages without end", DumpForEver(Coded(NLMSG_DONE, 0, 6)));
  Print("answers of other senders", DumpForEver(one + done, FromNobody));
  uint16_t port = 0;
  Print("groups without end", Dump([&](const Send& send) {
          while (send(Socket(port))) port++;
        }));
}

bool IsKernel(sa_family_t family, uint32_t port, socklen_t length) {
  sockaddr_storage storage{};
  sockaddr_nl address{};
  address.nl_family = family;
  address.nl_pid = port;
  std::memcpy(&storage, &address, sizeof(address));
  return IsFromKernel(storage, length);
}

void Senders() {
  const auto print = [](const char* name, bool is) { Print(name, {is ? 1 : 0, 0, false}); };
  print("the kernel", IsKernel(AF_NETLINK, 0, sizeof(sockaddr_nl)));
  print("a process", IsKernel(AF_NETLINK, 4711, sizeof(sockaddr_nl)));
  print("another family", IsKernel(AF_UNIX, 0, sizeof(sockaddr_nl)));
  print("no address", IsKernel(AF_NETLINK, 0, 0));
  print("half an address", IsKernel(AF_NETLINK, 0, 2));
}

}  // namespace

int main() {
  Answers();
  Senders();
  return 0;
}

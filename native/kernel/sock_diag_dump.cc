#include "sock_diag_dump.h"

#ifdef __linux__

#include <cerrno>
#include <cstring>
#include <ctime>
#include <new>

#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

namespace socket_tuner::kernel {
namespace {

constexpr int kTries = 3;

}  // namespace

int DumpSockets(int family, const SocketChoice& choice, DumpAnswer* answer) {
  const Descriptor netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (netlink.get() < 0) return -errno;
  constexpr uint32_t kSequence = 1;
  struct {
    nlmsghdr header;
    inet_diag_req_v2 request;
  } message{};
  message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.header.nlmsg_seq = kSequence;
  message.request.sdiag_family = static_cast<uint8_t>(family);
  message.request.sdiag_protocol = IPPROTO_TCP;
  message.request.idiag_states = choice.states;
  rtattr attribute{};
  attribute.rta_type = INET_DIAG_REQ_BYTECODE;
  attribute.rta_len = static_cast<unsigned short>(RTA_LENGTH(choice.filter_length));
  const bool filtered = choice.filter_length > 0;
  const std::size_t length = sizeof(message) + (filtered ? RTA_LENGTH(choice.filter_length) : 0);
  message.header.nlmsg_len = static_cast<uint32_t>(length);
  const Part parts[] = {
      {&message, sizeof(message)},
      {&attribute, sizeof(attribute)},
      {choice.filter, choice.filter_length},
  };
  const int error = SendToKernel(netlink.get(), parts, filtered ? 3 : 1);
  return error < 0 ? error : Receive(netlink.get(), kSequence, answer);
}

double ThreadMicroseconds() {
  timespec time{};
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

int DumpFamilies(int families, const SocketChoice& choice, DumpAnswer* answer) {
  if (families & kIpv4) {
    const int error = DumpSockets(AF_INET, choice, answer);
    if (error < 0) return error;
  }
  if (families & kIpv6) {
    const int error = DumpSockets(AF_INET6, choice, answer);
    // A kernel without IPv6 has no such sockets.
    if (error < 0 && !(error == -ENOENT && (families & kIpv4))) return error;
  }
  return 0;
}

int DumpAnswer::Take(const uint8_t* data, std::size_t length, uint32_t sequence) {
  Messages messages(data, length);
  Message message;
  int next = 0;
  while ((next = messages.Next(&message)) > 0) {
    const nlmsghdr& header = message.header;
    if (header.nlmsg_seq != sequence) continue;
    if (header.nlmsg_flags & NLM_F_DUMP_INTR) interrupted_ = true;
    if (header.nlmsg_type == NLMSG_DONE) {
      // Also ends a dump that could not continue, with its error.
      const int error = message.Code();
      return error < 0 ? error : 1;
    }
    if (header.nlmsg_type == NLMSG_ERROR) {
      const int error = message.Code();
      // 0 is an acknowledgement, which was not requested.
      return error < 0 ? error : -EBADMSG;
    }
    if (header.nlmsg_type == SOCK_DIAG_BY_FAMILY) {
      inet_diag_msg socket;
      if (message.body_length < sizeof(socket)) return -EBADMSG;
      std::memcpy(&socket, message.body, sizeof(socket));
      const int result = Add(socket);
      if (result != 0) return result;
    }
  }
  return next;
}

int SocketDump::Add(const inet_diag_msg& socket) {
  const bool timed = socket.idiag_timer != 0;
  SocketGroup group{};
  group.count = 1;
  group.least_timer_ms = timed ? socket.idiag_expires : UINT32_MAX;
  group.greatest_timer_ms = timed ? socket.idiag_expires : 0;
  if (group_by_ & kByFamily) group.family = socket.idiag_family;
  if (group_by_ & kByState) group.state = socket.idiag_state;
  if (group_by_ & kByLocalPort) group.local_port = ntohs(socket.id.idiag_sport);
  if (group_by_ & kByRemotePort) group.remote_port = ntohs(socket.id.idiag_dport);
  if (group_by_ & kByLocalAddress) {
    std::memcpy(group.local_address, socket.id.idiag_src, sizeof(group.local_address));
  }
  if (group_by_ & kByRemoteAddress) {
    std::memcpy(group.remote_address, socket.id.idiag_dst, sizeof(group.remote_address));
  }
  const int error = table_.Add(group);
  if (error == 0) total_++;
  return error;
}

int SocketDump::Sort() { return table_.Sort(); }

int CountSockets(int families, const SocketChoice& choice, uint32_t group_by, Census* census) {
  const double begun = ThreadMicroseconds();
  std::unique_ptr<SocketDump>& dump = census->dump;
  int error = 0;
  for (int tries = 0; tries < kTries; tries++) {
    // Frees the memory of the previous dump first.
    dump.reset();
    dump.reset(new (std::nothrow) SocketDump(group_by, kMaxGroups));
    error = dump ? DumpFamilies(families, choice, dump.get()) : -ENOMEM;
    if (error < 0 || !dump->interrupted()) break;
  }
  if (error == 0) error = dump->Sort();
  census->microseconds = ThreadMicroseconds() - begun;
  return error;
}

}  // namespace socket_tuner::kernel

#endif  // __linux__

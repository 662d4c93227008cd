#include "sock_diag_destroy.h"

#ifdef __linux__

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace socket_tuner::kernel {
namespace {

// The entries of one round: 3 MiB.
constexpr std::size_t kEntriesAtATime = 65536;
// A limit, since new entries could appear for ever.
constexpr int kMaxRounds = 256;
// The requests of one system call. If all are refused, the answers fit into the socket's buffer.
constexpr std::size_t kRequestsAtATime = 64;

struct Request {
  nlmsghdr header;
  inet_diag_req_v2 socket;
};
static_assert(sizeof(Request) % NLMSG_ALIGNTO == 0, "requests follow each other");

Request RequestFor(int family, const inet_diag_sockid& id, uint32_t sequence, bool is_last) {
  Request request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = SOCK_DESTROY;
  request.header.nlmsg_flags =
      static_cast<uint16_t>(is_last ? NLM_F_REQUEST | NLM_F_ACK : NLM_F_REQUEST);
  request.header.nlmsg_seq = sequence;
  request.socket.sdiag_family = static_cast<uint8_t>(family);
  request.socket.sdiag_protocol = IPPROTO_TCP;
  request.socket.idiag_states = 1U << TCP_TIME_WAIT;
  request.socket.id = id;
  return request;
}

// The answers to consecutive requests, up to the one with the sequence number of Take(). A request
// that succeeds is answered only if it is the last one, which takes half of the time. A lost answer
// is reported as ENOBUFS, so a request without a refusal has succeeded.
class Refusals : public Answer {
 public:
  int Take(const uint8_t* data, std::size_t length, uint32_t sequence) override {
    Messages messages(data, length);
    Message message;
    int next = 0;
    while ((next = messages.Next(&message)) > 0) {
      if (message.header.nlmsg_type != NLMSG_ERROR) return -EBADMSG;
      const int code = message.Code();
      if (code < 0 && code != -ENOENT) return code;
      if (code < 0) gone_++;
      if (message.header.nlmsg_seq == sequence) return 1;
    }
    return next;
  }

  // The entries that no longer existed.
  std::size_t gone() const { return gone_; }

 private:
  std::size_t gone_ = 0;
};

// Requests the removal of `count` entries in one system call. `sequence` is the last number used,
// and is advanced.
int DestroyBatch(const Descriptor& netlink, int family, const inet_diag_sockid* entries,
                 std::size_t count, uint32_t* sequence, std::size_t* removed) {
  Request requests[kRequestsAtATime];
  for (std::size_t i = 0; i < count; i++) {
    requests[i] = RequestFor(family, entries[i], ++*sequence, i + 1 == count);
  }
  const Part part = {requests, count * sizeof(Request)};
  int error = SendToKernel(netlink.get(), &part, 1);
  if (error < 0) return error;
  Refusals refusals;
  error = Receive(netlink.get(), *sequence, &refusals);
  if (error == 0) *removed += count - std::min(count, refusals.gone());
  return error;
}

// Returns 0 or a negated errno. Requests the removal of a socket that cannot exist: a kernel that
// can destroy sockets searches for it.
int IsSupported() {
  const Descriptor netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (netlink.get() < 0) return -errno;
  uint32_t sequence = 0;
  std::size_t removed = 0;
  const inet_diag_sockid nothing{};
  return DestroyBatch(netlink, AF_INET, &nothing, 1, &sequence, &removed);
}

// Returns 0 or a negated errno, such as -EOPNOTSUPP or -EPERM, before anything is removed.
int MayDestroy() {
  const int supported = IsSupported();
  if (supported < 0) return supported;
  const Descriptor own(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
  if (own.get() < 0) return -errno;
  // Has no effect on a socket that is not connected, and needs the same capability
  // (tcp_can_repair_sock).
  const int off = 0;
  const int result = setsockopt(own.get(), IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off));
  return result < 0 && errno == EPERM ? -EPERM : 0;
}

}  // namespace

int TimeWaitList::Reserve(int family, std::size_t room) {
  family_ = family;
  size_ = 0;
  if (room_ == room) return 0;
  entries_.reset(new (std::nothrow) inet_diag_sockid[room]);
  room_ = entries_ ? room : 0;
  return entries_ ? 0 : -ENOMEM;
}

int TimeWaitList::Add(const inet_diag_msg& socket) {
  // The dump has no others. If an answer is wrong, they must not be destroyed.
  if (socket.idiag_state != TCP_TIME_WAIT || socket.idiag_family != family_) return 0;
  if (full()) return 1;
  entries_[size_++] = socket.id;
  return 0;
}

int DestroyEntries(const TimeWaitList& list, std::size_t* removed) {
  const Descriptor netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (netlink.get() < 0) return -errno;
  uint32_t sequence = 0;
  for (std::size_t done = 0; done < list.size(); done += kRequestsAtATime) {
    const std::size_t count = std::min(kRequestsAtATime, list.size() - done);
    const int error =
        DestroyBatch(netlink, list.family(), list.entries() + done, count, &sequence, removed);
    if (error < 0) return error;
  }
  return 0;
}

int64_t DestroyTimeWait(const uint8_t* filter, std::size_t filter_length) {
  const int refused = MayDestroy();
  if (refused < 0) return refused;
  const SocketChoice choice = {1U << TCP_TIME_WAIT, filter, filter_length};
  std::size_t removed = 0;
  TimeWaitList list;
  for (const int family : {AF_INET, AF_INET6}) {
    for (int round = 0; round < kMaxRounds; round++) {
      int error = list.Reserve(family, kEntriesAtATime);
      if (error == 0) error = DumpSockets(family, choice, &list);
      // A kernel without IPv6 has no such sockets.
      if (error == -ENOENT && family == AF_INET6) break;
      if (error == 0) error = DestroyEntries(list, &removed);
      if (error < 0) return error;
      if (!list.full()) break;
    }
  }
  return static_cast<int64_t>(removed);
}

}  // namespace socket_tuner::kernel

#endif  // __linux__

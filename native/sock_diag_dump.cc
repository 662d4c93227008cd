#include "sock_diag_dump.h"

#ifdef __linux__

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace socket_tuner {
namespace {

// The kernel fills as much as it is given, up to 32 KiB.
constexpr std::size_t kBufferBytes = 65536;
// A kernel that says nothing for so long will say nothing any more.
constexpr time_t kSilenceSeconds = 10;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

int Send(int fd, int family, uint32_t states, const uint8_t* filter, std::size_t filter_length,
         uint32_t sequence) {
  struct {
    nlmsghdr header;
    inet_diag_req_v2 request;
  } message{};
  message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.header.nlmsg_seq = sequence;
  message.request.sdiag_family = static_cast<uint8_t>(family);
  message.request.sdiag_protocol = IPPROTO_TCP;
  message.request.idiag_states = states;
  rtattr attribute{};
  attribute.rta_type = INET_DIAG_REQ_BYTECODE;
  attribute.rta_len = static_cast<unsigned short>(RTA_LENGTH(filter_length));
  iovec parts[3] = {
      {&message, sizeof(message)},
      {&attribute, sizeof(attribute)},
      {const_cast<uint8_t*>(filter), filter_length},
  };
  std::size_t length = sizeof(message);
  if (filter_length > 0) length += RTA_LENGTH(filter_length);
  message.header.nlmsg_len = static_cast<uint32_t>(length);
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  msghdr whole{};
  whole.msg_name = &kernel;
  whole.msg_namelen = sizeof(kernel);
  whole.msg_iov = parts;
  whole.msg_iovlen = filter_length > 0 ? 3 : 1;
  return sendmsg(fd, &whole, 0) < 0 ? -errno : 0;
}

}  // namespace

namespace {

constexpr std::size_t kKeyOffset = offsetof(SocketGroup, local_port);
constexpr std::size_t kKeyBytes = sizeof(SocketGroup) - kKeyOffset;
static_assert(kKeyBytes % sizeof(uint64_t) == 0, "the key is hashed in words");

const uint8_t* KeyOf(const SocketGroup& group) {
  return reinterpret_cast<const uint8_t*>(&group) + kKeyOffset;
}

// FNV-1a by words, then mixed, since the low bits choose the slot.
uint64_t HashOf(const SocketGroup& group) {
  uint64_t hash = 14695981039346656037ULL;
  for (std::size_t offset = 0; offset < kKeyBytes; offset += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, KeyOf(group) + offset, sizeof(word));
    hash = (hash ^ word) * 1099511628211ULL;
    hash ^= hash >> 29;
  }
  return hash;
}

constexpr std::size_t kFirstRoom = 1024;

}  // namespace

std::size_t GroupTable::SlotOf(const SocketGroup& group) const {
  const std::size_t mask = 2 * room_ - 1;
  std::size_t slot = static_cast<std::size_t>(HashOf(group)) & mask;
  while (slots_[slot] != 0 &&
         std::memcmp(KeyOf(groups_[slots_[slot] - 1]), KeyOf(group), kKeyBytes) != 0) {
    slot = (slot + 1) & mask;
  }
  return slot;
}

int GroupTable::Grow() {
  const std::size_t room = room_ == 0 ? kFirstRoom : 2 * room_;
  std::unique_ptr<SocketGroup[]> groups(new (std::nothrow) SocketGroup[room]);
  std::unique_ptr<uint32_t[]> slots(new (std::nothrow) uint32_t[2 * room]());
  if (!groups || !slots) return -ENOMEM;
  if (size_ > 0) std::memcpy(groups.get(), groups_.get(), size_ * sizeof(SocketGroup));
  groups_ = std::move(groups);
  slots_ = std::move(slots);
  room_ = room;
  for (std::size_t i = 0; i < size_; i++) {
    slots_[SlotOf(groups_[i])] = static_cast<uint32_t>(i + 1);
  }
  return 0;
}

int GroupTable::Add(const SocketGroup& like) {
  if (size_ == room_) {
    const int error = Grow();
    if (error < 0) return error;
  }
  const std::size_t slot = SlotOf(like);
  if (slots_[slot] == 0) {
    if (size_ >= limit_) return -EOVERFLOW;
    groups_[size_++] = like;
    slots_[slot] = static_cast<uint32_t>(size_);
    return 0;
  }
  SocketGroup& group = groups_[slots_[slot] - 1];
  group.count += like.count;
  if (like.least_timer_ms < group.least_timer_ms) group.least_timer_ms = like.least_timer_ms;
  if (like.greatest_timer_ms > group.greatest_timer_ms) {
    group.greatest_timer_ms = like.greatest_timer_ms;
  }
  return 0;
}

void GroupTable::Sort() {
  std::sort(groups_.get(), groups_.get() + size_, [](const SocketGroup& a, const SocketGroup& b) {
    return a.count != b.count ? a.count > b.count : std::memcmp(KeyOf(a), KeyOf(b), kKeyBytes) < 0;
  });
}

int SocketDump::Add(const inet_diag_msg& message) {
  const bool timed = message.idiag_timer != 0;
  SocketGroup group{};
  group.count = 1;
  group.least_timer_ms = timed ? message.idiag_expires : UINT32_MAX;
  group.greatest_timer_ms = timed ? message.idiag_expires : 0;
  if (group_by_ & kByFamily) group.family = message.idiag_family;
  if (group_by_ & kByState) group.state = message.idiag_state;
  if (group_by_ & kByLocalPort) group.local_port = ntohs(message.id.idiag_sport);
  if (group_by_ & kByRemotePort) group.remote_port = ntohs(message.id.idiag_dport);
  if (group_by_ & kByLocalAddress) {
    std::memcpy(group.local_address, message.id.idiag_src, sizeof(group.local_address));
  }
  if (group_by_ & kByRemoteAddress) {
    std::memcpy(group.remote_address, message.id.idiag_dst, sizeof(group.remote_address));
  }
  const int error = table_.Add(group);
  if (error == 0) total_++;
  return error;
}

void SocketDump::Sort() { table_.Sort(); }

int SocketDump::Take(const uint8_t* data, std::size_t length, uint32_t sequence) {
  while (length >= sizeof(nlmsghdr)) {
    nlmsghdr header;
    std::memcpy(&header, data, sizeof(header));
    if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > length) return -EBADMSG;
    const uint8_t* const body = data + NLMSG_HDRLEN;
    const std::size_t body_length =
        header.nlmsg_len > NLMSG_HDRLEN ? header.nlmsg_len - NLMSG_HDRLEN : 0;
    if (header.nlmsg_seq == sequence) {
      if (header.nlmsg_flags & NLM_F_DUMP_INTR) interrupted_ = true;
      if (header.nlmsg_type == NLMSG_DONE) return 1;
      if (header.nlmsg_type == NLMSG_ERROR) {
        int error = 0;
        if (body_length < sizeof(error)) return -EBADMSG;
        std::memcpy(&error, body, sizeof(error));
        // 0 acknowledges, which nobody asked for.
        return error < 0 ? error : -EBADMSG;
      }
      if (header.nlmsg_type == SOCK_DIAG_BY_FAMILY) {
        inet_diag_msg message;
        if (body_length < sizeof(message)) return -EBADMSG;
        std::memcpy(&message, body, sizeof(message));
        const int error = Add(message);
        if (error < 0) return error;
      }
    }
    const std::size_t step = NLMSG_ALIGN(header.nlmsg_len);
    if (step >= length) break;
    data += step;
    length -= step;
  }
  return 0;
}

int SocketDump::Receive(int fd, uint32_t sequence) {
  const std::unique_ptr<uint8_t[]> buffer(new (std::nothrow) uint8_t[kBufferBytes]);
  if (!buffer) return -ENOMEM;
  for (;;) {
    sockaddr_nl sender{};
    iovec part = {buffer.get(), kBufferBytes};
    msghdr whole{};
    whole.msg_name = &sender;
    whole.msg_namelen = sizeof(sender);
    whole.msg_iov = &part;
    whole.msg_iovlen = 1;
    const ssize_t length = recvmsg(fd, &whole, 0);
    if (length < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? -ETIMEDOUT : -errno;
    }
    if (length == 0) return -EPIPE;
    if (whole.msg_flags & MSG_TRUNC) return -EMSGSIZE;
    // Any process may send to a netlink socket; the kernel's port is 0 (netlink(7)).
    if (whole.msg_namelen != sizeof(sender) || sender.nl_pid != 0) continue;
    const int result = Take(buffer.get(), static_cast<std::size_t>(length), sequence);
    if (result != 0) return result < 0 ? result : 0;
  }
}

int SocketDump::Run(int family, uint32_t states, const uint8_t* filter,
                    std::size_t filter_length) {
  const Descriptor netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (netlink.get() < 0) return -errno;
  const timeval silence = {kSilenceSeconds, 0};
  if (setsockopt(netlink.get(), SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence)) < 0) {
    return -errno;
  }
  constexpr uint32_t kSequence = 1;
  const int sent = Send(netlink.get(), family, states, filter, filter_length, kSequence);
  return sent < 0 ? sent : Receive(netlink.get(), kSequence);
}

}  // namespace socket_tuner

#endif  // __linux__

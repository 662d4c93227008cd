#include "netlink.h"

#ifdef __linux__

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <new>

#include <poll.h>

namespace socket_tuner::kernel {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// The kernel sends datagrams of at most 32 KiB.
constexpr std::size_t kBufferBytes = 65536;
constexpr std::size_t kHeaderBytes = NLMSG_HDRLEN;
static_assert(kHeaderBytes == sizeof(nlmsghdr), "a header is copied whole");

// Waits until there is something to read. Returns 0 or a negated errno.
int Wait(int fd, Clock::time_point end, int silence_ms) {
  const auto left = std::chrono::ceil<milliseconds>(end - Clock::now()).count();
  if (left <= 0) return -ETIMEDOUT;
  pollfd entry = {fd, POLLIN, 0};
  const int ready = poll(&entry, 1, static_cast<int>(std::min<int64_t>(left, silence_ms)));
  if (ready > 0) return 0;
  if (ready == 0) return -ETIMEDOUT;
  return errno == EINTR ? 0 : -errno;
}

}  // namespace

int Message::Code() const {
  int code = 0;
  if (body_length < sizeof(code)) return -EBADMSG;
  std::memcpy(&code, body, sizeof(code));
  return code <= 0 ? code : -EBADMSG;
}

int Messages::Next(Message* message) {
  // A rest that is shorter than a header is padding.
  if (length_ < kHeaderBytes) return 0;
  std::memcpy(&message->header, data_, kHeaderBytes);
  const std::size_t length = message->header.nlmsg_len;
  if (length < kHeaderBytes || length > length_) return -EBADMSG;
  message->body = data_ + kHeaderBytes;
  message->body_length = length - kHeaderBytes;
  const std::size_t step = std::min<std::size_t>(NLMSG_ALIGN(length), length_);
  data_ += step;
  length_ -= step;
  return 1;
}

bool IsFromKernel(const sockaddr_storage& sender, socklen_t length) {
  sockaddr_nl address;
  if (length != sizeof(address)) return false;
  std::memcpy(&address, &sender, sizeof(address));
  return address.nl_family == AF_NETLINK && address.nl_pid == 0;
}

int Receive(int fd, uint32_t sequence, Answer* answer, const Patience& patience,
            bool (*may_answer)(const sockaddr_storage&, socklen_t)) {
  const std::unique_ptr<uint8_t[]> buffer(new (std::nothrow) uint8_t[kBufferBytes]);
  if (!buffer) return -ENOMEM;
  const Clock::time_point end = Clock::now() + milliseconds(patience.total_ms);
  while (Clock::now() < end) {
    sockaddr_storage sender{};
    iovec part = {buffer.get(), kBufferBytes};
    msghdr whole{};
    whole.msg_name = &sender;
    whole.msg_namelen = sizeof(sender);
    whole.msg_iov = &part;
    whole.msg_iovlen = 1;
    const ssize_t length = recvmsg(fd, &whole, MSG_DONTWAIT);
    if (length < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return -errno;
      const int error = Wait(fd, end, patience.silence_ms);
      if (error < 0) return error;
      continue;
    }
    if (length == 0) return -EPIPE;
    if (!may_answer(sender, whole.msg_namelen)) continue;
    if (whole.msg_flags & MSG_TRUNC) return -EMSGSIZE;
    const int result = answer->Take(buffer.get(), static_cast<std::size_t>(length), sequence);
    if (result != 0) return result < 0 ? result : 0;
  }
  return -ETIMEDOUT;
}

int SendToKernel(int fd, const Part* parts, std::size_t count) {
  if (count > kMaxParts) return -EINVAL;
  iovec vectors[kMaxParts];
  for (std::size_t i = 0; i < count; i++) {
    vectors[i] = {const_cast<void*>(parts[i].data), parts[i].length};
  }
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  msghdr whole{};
  whole.msg_name = &kernel;
  whole.msg_namelen = sizeof(kernel);
  whole.msg_iov = vectors;
  whole.msg_iovlen = static_cast<decltype(whole.msg_iovlen)>(count);
  return sendmsg(fd, &whole, 0) < 0 ? -errno : 0;
}

}  // namespace socket_tuner::kernel

#endif  // __linux__

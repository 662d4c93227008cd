#include "ended_sockets.h"

#ifdef __linux__

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

namespace socket_tuner::kernel {
namespace {

// A broadcast has 380 bytes on Linux 6.18.
constexpr std::size_t kDatagramBytes = 2048;
constexpr std::size_t kDatagramsAtATime = 64;
// Their replies fit into the default receive buffer.
constexpr std::size_t kSearchesAtATime = 64;
// idiag_timer of an entry.
constexpr uint8_t kTimeWaitTimer = 3;
// SO_MEMINFO and SOL_NETLINK, which the headers of some C libraries lack.
constexpr int kSocketMemory = 55;
constexpr int kNetlinkLevel = 270;
constexpr std::size_t kDropsWord = 8;

struct EntryRequest {
  nlmsghdr header;
  inet_diag_req_v2 body;
};
static_assert(sizeof(EntryRequest) == NLMSG_ALIGN(sizeof(EntryRequest)), "they follow each other");

// Finds the attribute with struct tcp_info. Its data is cut to the size of the member.
void ReadInfo(const uint8_t* data, std::size_t length, EndedSocket* socket) {
  constexpr std::size_t kHeader = RTA_LENGTH(0);
  while (length >= kHeader) {
    rtattr attribute;
    std::memcpy(&attribute, data, sizeof(attribute));
    if (attribute.rta_len < kHeader || attribute.rta_len > length) return;
    if (attribute.rta_type == INET_DIAG_INFO) {
      const std::size_t size =
          std::min<std::size_t>(attribute.rta_len - kHeader, sizeof(socket->info));
      std::memcpy(socket->info, data + kHeader, size);
      socket->info_length = static_cast<uint32_t>(size);
    }
    const std::size_t step = std::min<std::size_t>(RTA_ALIGN(attribute.rta_len), length);
    data += step;
    length -= step;
  }
}

EndedSocket EndedOf(const inet_diag_msg& message) {
  EndedSocket socket{};
  socket.cookie =
      message.id.idiag_cookie[0] | (static_cast<uint64_t>(message.id.idiag_cookie[1]) << 32);
  socket.interface_index = message.id.idiag_if;
  socket.unread = message.idiag_rqueue;
  socket.unacknowledged = message.idiag_wqueue;
  socket.local_port = ntohs(message.id.idiag_sport);
  socket.remote_port = ntohs(message.id.idiag_dport);
  socket.family = message.idiag_family;
  std::memcpy(socket.local_address, message.id.idiag_src, sizeof(socket.local_address));
  std::memcpy(socket.remote_address, message.id.idiag_dst, sizeof(socket.remote_address));
  return socket;
}

// The request for the socket with these addresses and ports, or with those of its peer.
EntryRequest RequestFor(const EndedSocket& socket, std::size_t sequence, bool reversed) {
  EntryRequest request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.header.nlmsg_seq = static_cast<uint32_t>(sequence);
  request.body.sdiag_family = socket.family;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = UINT32_MAX;
  inet_diag_sockid& id = request.body.id;
  id.idiag_sport = htons(reversed ? socket.remote_port : socket.local_port);
  id.idiag_dport = htons(reversed ? socket.local_port : socket.remote_port);
  std::memcpy(reversed ? id.idiag_dst : id.idiag_src, socket.local_address, sizeof(id.idiag_src));
  std::memcpy(reversed ? id.idiag_src : id.idiag_dst, socket.remote_address, sizeof(id.idiag_dst));
  id.idiag_if = socket.interface_index;
  // INET_DIAG_NOCOOKIE: an entry has another cookie than its socket had.
  id.idiag_cookie[0] = UINT32_MAX;
  id.idiag_cookie[1] = UINT32_MAX;
  return request;
}

// Reads one reply. Returns whether it is one, and then the index of its request.
bool ReadReply(const Message& message, std::size_t count, std::size_t* index, bool* found) {
  *index = message.header.nlmsg_seq;
  *found = false;
  if (*index >= count) return false;
  if (message.header.nlmsg_type == NLMSG_ERROR) return message.Code() == -ENOENT;
  inet_diag_msg socket;
  if (message.header.nlmsg_type != SOCK_DIAG_BY_FAMILY || message.body_length < sizeof(socket)) {
    return false;
  }
  std::memcpy(&socket, message.body, sizeof(socket));
  *found = socket.idiag_timer == kTimeWaitTimer;
  return true;
}

}  // namespace

int ReadEndedSockets(const uint8_t* data, std::size_t length, EndedSocket* sockets,
                     std::size_t most) {
  Messages messages(data, length);
  Message message;
  std::size_t count = 0;
  int next = 0;
  while (count < most && (next = messages.Next(&message)) > 0) {
    if (message.header.nlmsg_type != SOCK_DIAG_BY_FAMILY) continue;
    inet_diag_msg socket;
    if (message.body_length < sizeof(socket)) return -EBADMSG;
    std::memcpy(&socket, message.body, sizeof(socket));
    sockets[count] = EndedOf(socket);
    constexpr std::size_t kAttributes = NLMSG_ALIGN(sizeof(socket));
    if (message.body_length > kAttributes) {
      ReadInfo(message.body + kAttributes, message.body_length - kAttributes, &sockets[count]);
    }
    count++;
  }
  return next < 0 ? next : static_cast<int>(count);
}

int EntrySearch::Open() {
  auto netlink = std::unique_ptr<Descriptor>(new (std::nothrow) Descriptor(
      socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)));
  if (!netlink) return -ENOMEM;
  if (netlink->get() < 0) return -errno;
  netlink_ = std::move(netlink);
  return 0;
}

void EntrySearch::Search(EndedSocket* sockets, std::size_t count) {
  for (std::size_t from = 0; from < count; from += kSearchesAtATime) {
    const std::size_t few = std::min(kSearchesAtATime, count - from);
    SearchFew(sockets + from, few, false);
    SearchFew(sockets + from, few, true);
  }
}

void EntrySearch::SearchFew(EndedSocket* sockets, std::size_t count, bool reversed) {
  if (!netlink_) return;
  EntryRequest requests[kSearchesAtATime];
  std::size_t length = 0;
  for (std::size_t i = 0; i < count; i++) {
    const EndedSocket& each = sockets[i];
    if (each.remote_port == 0 || (reversed && each.entry != kNone)) continue;
    requests[length++] = RequestFor(each, i, reversed);
  }
  const Part part = {requests, length * sizeof(EntryRequest)};
  if (length == 0 || SendToKernel(netlink_->get(), &part, 1) < 0) return;
  uint8_t reply[kDatagramBytes];
  // The kernel has replied to all when it takes the message.
  for (;;) {
    const ssize_t received = recv(netlink_->get(), reply, sizeof(reply), MSG_DONTWAIT);
    if (received < 0 && errno == EINTR) continue;
    // The replies that are missing stay unknown.
    if (received < 0 && errno == ENOBUFS) continue;
    if (received <= 0) return;
    Messages messages(reply, static_cast<std::size_t>(received));
    Message message;
    std::size_t index = 0;
    bool found = false;
    while (messages.Next(&message) > 0) {
      if (!ReadReply(message, count, &index, &found)) continue;
      if (found) {
        sockets[index].entry = reversed ? kAtPeer : kHere;
      } else if (!reversed) {
        sockets[index].entry = kNone;
      }
    }
  }
}

int EndedSockets::Open(int receive_buffer_bytes) {
  const int searches = search_.Open();
  if (searches < 0) return searches;
  sockets_.reset(new (std::nothrow) EndedSocket[kMostAtATime]);
  datagrams_.reset(new (std::nothrow) uint8_t[kDatagramsAtATime * kDatagramBytes]);
  auto netlink = std::unique_ptr<Descriptor>(new (std::nothrow) Descriptor(
      socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG)));
  if (!netlink || !sockets_ || !datagrams_) return -ENOMEM;
  if (netlink->get() < 0) return -errno;
  const int* size = &receive_buffer_bytes;
  if (setsockopt(netlink->get(), SOL_SOCKET, SO_RCVBUFFORCE, size, sizeof(*size)) != 0 &&
      setsockopt(netlink->get(), SOL_SOCKET, SO_RCVBUF, size, sizeof(*size)) != 0) {
    return -errno;
  }
  // Otherwise a full buffer stays closed until it is empty, and makes the descriptor fail in
  // epoll(7), which libuv takes for its end. The kernel counts the losses in either case.
  const int on = 1;
  if (setsockopt(netlink->get(), kNetlinkLevel, NETLINK_NO_ENOBUFS, &on, sizeof(on)) != 0) {
    return -errno;
  }
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups =
      (1U << (SKNLGRP_INET_TCP_DESTROY - 1)) | (1U << (SKNLGRP_INET6_TCP_DESTROY - 1));
  if (bind(netlink->get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return -errno;
  }
  netlink_ = std::move(netlink);
  return 0;
}

int EndedSockets::Read() {
  if (!netlink_) return -EBADF;
  std::size_t count = 0;
  const int error = Receive(&count);
  if (count == 0) return error;
  search_.Search(sockets_.get(), count);
  return static_cast<int>(count);
}

int EndedSockets::Receive(std::size_t* count) {
  while (*count < kMostAtATime) {
    const std::size_t most = std::min(kDatagramsAtATime, kMostAtATime - *count);
    mmsghdr messages[kDatagramsAtATime]{};
    iovec parts[kDatagramsAtATime];
    sockaddr_storage senders[kDatagramsAtATime]{};
    for (std::size_t i = 0; i < most; i++) {
      parts[i] = {datagrams_.get() + i * kDatagramBytes, kDatagramBytes};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
      messages[i].msg_hdr.msg_name = &senders[i];
      messages[i].msg_hdr.msg_namelen = sizeof(senders[i]);
    }
    const int received =
        recvmmsg(netlink_->get(), messages, static_cast<unsigned>(most), MSG_DONTWAIT, nullptr);
    if (received < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    }
    if (received == 0) return 0;
    for (int i = 0; i < received; i++) {
      const msghdr& header = messages[i].msg_hdr;
      if (!IsFromKernel(senders[i], header.msg_namelen)) continue;
      const int read = header.msg_flags & MSG_TRUNC
                           ? -EMSGSIZE
                           : ReadEndedSockets(static_cast<const uint8_t*>(parts[i].iov_base),
                                              messages[i].msg_len, sockets_.get() + *count,
                                              kMostAtATime - *count);
      if (read < 0) {
        unreadable_++;
      } else {
        *count += static_cast<std::size_t>(read);
      }
    }
  }
  return 0;
}

int64_t EndedSockets::Lost() const {
  if (!netlink_) return -EBADF;
  uint32_t words[kDropsWord + 1]{};
  socklen_t length = sizeof(words);
  if (getsockopt(netlink_->get(), SOL_SOCKET, kSocketMemory, words, &length) != 0) return -errno;
  return static_cast<uint32_t>(words[kDropsWord] + unreadable_);
}

}  // namespace socket_tuner::kernel

#endif  // __linux__

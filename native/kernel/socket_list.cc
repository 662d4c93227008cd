#include "socket_list.h"

#ifdef __linux__

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <type_traits>
#include <utility>

#include <linux/inet_diag.h>
#include <netinet/in.h>

namespace socket_tuner::kernel {
namespace {

constexpr std::size_t kFirstListed = 256;
static_assert(std::is_trivially_copyable_v<ListedSocket>, "sockets are moved by realloc");

}  // namespace

Memory<ListedSocket> SocketList::Release() {
  size_ = 0;
  room_ = 0;
  return std::move(sockets_);
}

int SocketList::Grow() {
  const std::size_t room = std::min(limit_, std::max(kFirstListed, 2 * room_));
  if (size_ >= room) return -EOVERFLOW;
  void* memory = std::realloc(sockets_.get(), room * sizeof(ListedSocket));
  if (memory == nullptr) return -ENOMEM;
  static_cast<void>(sockets_.release());
  sockets_.reset(static_cast<ListedSocket*>(memory));
  room_ = room;
  return 0;
}

int SocketList::Add(const inet_diag_msg& socket) {
  if (size_ == room_) {
    const int error = Grow();
    if (error < 0) return error;
  }
  ListedSocket listed{};
  listed.inode = socket.idiag_inode;
  listed.uid = socket.idiag_uid;
  listed.cookie =
      socket.id.idiag_cookie[0] | (static_cast<uint64_t>(socket.id.idiag_cookie[1]) << 32);
  listed.local_port = ntohs(socket.id.idiag_sport);
  listed.remote_port = ntohs(socket.id.idiag_dport);
  listed.family = socket.idiag_family;
  listed.state = socket.idiag_state;
  std::memcpy(listed.local_address, socket.id.idiag_src, sizeof(listed.local_address));
  std::memcpy(listed.remote_address, socket.id.idiag_dst, sizeof(listed.remote_address));
  sockets_[size_++] = listed;
  return 0;
}

int ListSockets(uint32_t states, SocketList* list, double* microseconds) {
  const double begun = ThreadMicroseconds();
  const SocketChoice choice = {states, nullptr, 0};
  const int error = DumpFamilies(kIpv4 | kIpv6, choice, list);
  *microseconds = ThreadMicroseconds() - begun;
  return error;
}

}  // namespace socket_tuner::kernel

#endif  // __linux__

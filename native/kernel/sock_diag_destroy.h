// The removal of sockets in TIME_WAIT over netlink (sock_diag(7), SOCK_DESTROY).
//
// First they are dumped, so many at a time as memory is given, then those are removed: a dump that
// goes on while entries vanish would lose its place in the kernel's table and pass over others.
#ifndef SOCKET_TUNER_KERNEL_SOCK_DIAG_DESTROY_H_
#define SOCKET_TUNER_KERNEL_SOCK_DIAG_DESTROY_H_

#ifdef __linux__

#include "sock_diag_dump.h"

#include <cstddef>
#include <cstdint>
#include <memory>

#include <linux/inet_diag.h>

namespace socket_tuner::kernel {

// The entries in TIME_WAIT that a dump finds, as far as there is room for them.
class TimeWaitList : public DumpAnswer {
 public:
  // 0 or -ENOMEM. Empties the list, and makes it one of AF_INET or AF_INET6.
  int Reserve(int family, std::size_t room);

  int family() const { return family_; }
  const inet_diag_sockid* entries() const { return entries_.get(); }
  std::size_t size() const { return size_; }
  bool full() const { return size_ == room_; }

 private:
  int Add(const inet_diag_msg& socket) override;

  int family_ = 0;
  std::unique_ptr<inet_diag_sockid[]> entries_;
  std::size_t size_ = 0;
  std::size_t room_ = 0;
};

// Removes the entries of a list and adds their number to `removed`. One that is gone, or whose
// ports another connection has taken since, is passed over: the kernel compares its cookie. 0 or a
// negated errno.
int DestroyEntries(const TimeWaitList& list, std::size_t* removed);

// Removes all in TIME_WAIT that the filter (inet_diag bytecode, may be empty) matches, of both
// address families. The number removed, or a negated errno: -EOPNOTSUPP where the kernel cannot do
// it, -EPERM without CAP_NET_ADMIN in the user namespace that owns this network namespace.
int64_t DestroyTimeWait(const uint8_t* filter, std::size_t filter_length);

}  // namespace socket_tuner::kernel

#endif  // __linux__

#endif  // SOCKET_TUNER_KERNEL_SOCK_DIAG_DESTROY_H_

// Removes sockets in TIME_WAIT over netlink (sock_diag(7), SOCK_DESTROY).
//
// Dumps a limited number of them and removes these, in rounds. A dump that continued while entries
// are removed would lose its place in the kernel's table and miss others.
#ifndef SOCKET_TUNER_KERNEL_SOCK_DIAG_DESTROY_H_
#define SOCKET_TUNER_KERNEL_SOCK_DIAG_DESTROY_H_

#ifdef __linux__

#include "sock_diag_dump.h"

#include <cstddef>
#include <cstdint>
#include <memory>

#include <linux/inet_diag.h>

namespace socket_tuner::kernel {

// The entries in TIME_WAIT of a dump, up to a limit.
class TimeWaitList : public DumpAnswer {
 public:
  // Empties the list, and prepares it for entries of AF_INET or AF_INET6. Returns 0 or -ENOMEM.
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

// Removes the entries of a list, and adds their number to `removed`. Skips an entry that no longer
// exists, or whose ports another connection has since: the kernel compares the cookie. Returns 0 or
// a negated errno.
int DestroyEntries(const TimeWaitList& list, std::size_t* removed);

// Removes all entries in TIME_WAIT that the filter (inet_diag bytecode, may be empty) matches, of
// both address families. Returns their number, or a negated errno: -EOPNOTSUPP if the kernel does
// not support it, -EPERM without CAP_NET_ADMIN in the user namespace that owns this network
// namespace.
int64_t DestroyTimeWait(const uint8_t* filter, std::size_t filter_length);

}  // namespace socket_tuner::kernel

#endif  // __linux__

#endif  // SOCKET_TUNER_KERNEL_SOCK_DIAG_DESTROY_H_

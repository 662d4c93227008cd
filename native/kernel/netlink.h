// Questions to the kernel over netlink(7) and its answers. Nothing here knows what they mean, and
// nothing needs Node-API. The kernel is not trusted: what it sends may be short, malformed or
// endless.
#ifndef SOCKET_TUNER_KERNEL_NETLINK_H_
#define SOCKET_TUNER_KERNEL_NETLINK_H_

#ifdef __linux__

#include <cstddef>
#include <cstdint>

#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

namespace socket_tuner::kernel {

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

struct Message {
  nlmsghdr header;
  const uint8_t* body;
  std::size_t body_length;

  // What NLMSG_ERROR and NLMSG_DONE begin with: 0 or a negated errno; -EBADMSG for anything else.
  int Code() const;
};

// The messages of a datagram. Looks at nothing outside of the memory that it is given.
class Messages {
 public:
  Messages(const uint8_t* data, std::size_t length) : data_(data), length_(length) {}

  // 1 with the next message, 0 after the last one, or -EBADMSG.
  int Next(Message* message);

 private:
  const uint8_t* data_;
  std::size_t length_;
};

// What becomes of an answer.
class Answer {
 public:
  virtual ~Answer() = default;

  // Takes in one datagram. 1 when the answer is complete, 0 when there is more to come, or a
  // negated errno.
  virtual int Take(const uint8_t* data, std::size_t length, uint32_t sequence) = 0;
};

// Any process with CAP_NET_ADMIN may send to a netlink socket; the kernel's port is 0.
bool IsFromKernel(const sockaddr_storage& sender, socklen_t length);

struct Patience {
  // One that says nothing for so long will say nothing any more.
  int silence_ms = 10'000;
  // One that is not done by then will never be.
  int total_ms = 60'000;
};

// Gives what arrives at `fd` from those who may answer to `answer`, until that is complete. 0 or a
// negated errno: -ETIMEDOUT when patience is over.
int Receive(int fd, uint32_t sequence, Answer* answer, const Patience& patience = {},
            bool (*may_answer)(const sockaddr_storage&, socklen_t) = IsFromKernel);

// Sends to the kernel: 0 or a negated errno. At most kMaxParts of memory, one after the other.
constexpr std::size_t kMaxParts = 3;
struct Part {
  const void* data;
  std::size_t length;
};
int SendToKernel(int fd, const Part* parts, std::size_t count);

}  // namespace socket_tuner::kernel

#endif  // __linux__

#endif  // SOCKET_TUNER_KERNEL_NETLINK_H_

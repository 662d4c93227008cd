// Requests to the kernel over netlink(7), and its answers. This file does not depend on the meaning
// of the messages, nor on Node-API. It does not trust the kernel: an answer may be short, malformed
// or endless.
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

  // Returns the code of NLMSG_ERROR or NLMSG_DONE: 0 or a negated errno; -EBADMSG for a malformed
  // one.
  int Code() const;
};

// The messages of a datagram. Reads nothing outside of its memory.
class Messages {
 public:
  Messages(const uint8_t* data, std::size_t length) : data_(data), length_(length) {}

  // Reads the next message. Returns 1, 0 after the last one, or -EBADMSG.
  int Next(Message* message);

 private:
  const uint8_t* data_;
  std::size_t length_;
};

// The receiver of an answer.
class Answer {
 public:
  virtual ~Answer() = default;

  // Handles one datagram. Returns 1 if the answer is complete, 0 if it continues, or a negated
  // errno.
  virtual int Take(const uint8_t* data, std::size_t length, uint32_t sequence) = 0;
};

// Any process with CAP_NET_ADMIN may send to a netlink socket; the kernel's port is 0.
bool IsFromKernel(const sockaddr_storage& sender, socklen_t length);

struct Patience {
  // The longest time without a datagram.
  int silence_ms = 10'000;
  // The longest time for the whole answer.
  int total_ms = 60'000;
};

// Receives datagrams until `answer` is complete, and drops those whose sender `may_answer` refuses.
// Returns 0 or a negated errno: -ETIMEDOUT after the times of `patience`.
int Receive(int fd, uint32_t sequence, Answer* answer, const Patience& patience = {},
            bool (*may_answer)(const sockaddr_storage&, socklen_t) = IsFromKernel);

// Sends at most kMaxParts of memory to the kernel as one message. Returns 0 or a negated errno.
constexpr std::size_t kMaxParts = 3;
struct Part {
  const void* data;
  std::size_t length;
};
int SendToKernel(int fd, const Part* parts, std::size_t count);

}  // namespace socket_tuner::kernel

#endif  // __linux__

#endif  // SOCKET_TUNER_KERNEL_NETLINK_H_

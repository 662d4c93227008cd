// Many sockets on one epoll(7) descriptor: reads what arrives, and keeps what did not fit into the
// send buffer until it does. A stress client opens and closes thousands of connections a second,
// and a stream object and a callback for each event would cost several times as much as the system
// calls.
#ifndef SOCKET_TUNER_KERNEL_POLLER_H_
#define SOCKET_TUNER_KERNEL_POLLER_H_

#include <cstddef>
#include <cstdint>

namespace socket_tuner::kernel {

// A record is this many 32-bit numbers. scripts/layouts.js writes the numbers for TypeScript.
enum PollerField : size_t {
  kSlot,    // the socket
  kKind,    // a PollerKind
  kNumber,  // bytes of input; errno
  kOffset,  // where the input begins
  kFields
};

enum PollerKind : int32_t {
  kOpened = 1,  // connect() is complete
  kInput = 2,   // input was read
  kEnded = 3,   // the peer's FIN was read
  kFailed = 4,  // an errno; nothing follows
};

// The most records of one event.
constexpr size_t kRecordsOfEvent = 3;
// Input is read only into this much room.
constexpr size_t kLeastRoom = 4096;

class Poller {
 public:
  Poller() = default;
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // 0 or a negated errno.
  int Open();

  // Closes the epoll descriptor, which nothing may poll any more. Leaves the sockets open.
  void Close();

  // The epoll descriptor: readable while there are events.
  int fd() const { return epoll_; }

  // Watches a non-blocking socket whose connect() has begun; the caller owns it. Its slot, or a
  // negated errno.
  int Watch(int fd);

  // Forgets a socket, which the caller then closes. 0, or -EBADF for a slot that is not in use. A
  // slot is used again after the next Poll(), so that records are never of another socket. The
  // socket stays in the set of epoll until it is closed, and its events are dropped: that is a
  // system call less for each connection.
  int Unwatch(size_t slot);

  // Sends bytes, and keeps the rest. How many the kernel took, or a negated errno.
  int64_t Write(size_t slot, const uint8_t* bytes, size_t length);

  // The bytes that the kernel has not taken yet, or -EBADF.
  int64_t Queued(size_t slot) const;

  // Closes the sockets that are still watched.
  void CloseSockets();

  // Reads what has arrived, without waiting. The number of records.
  size_t Poll(int32_t* records, size_t most_records, uint8_t* input, size_t input_length);

 private:
  struct Socket {
    int fd;
    // How many sockets had the slot before. An event of one of them has another number.
    uint32_t generation;
    bool opened;
    // The errno of a send(), reported after the input.
    int failure;
    uint8_t* queue;
    size_t queued;
    size_t queued_from;
  };

  struct Batch;

  bool IsUsed(size_t slot) const { return slot < used_ && sockets_[slot].fd >= 0; }
  int Grow();
  int Keep(Socket* socket, const uint8_t* bytes, size_t length);
  int Flush(Socket* socket);
  void Handle(size_t slot, uint32_t events, Batch* batch);
  void Read(size_t slot, uint32_t events, Batch* batch);
  void Rearm(size_t slot);

  int epoll_ = -1;
  Socket* sockets_ = nullptr;
  // Stacks of slots: those to use again now, and those to use again after the next Poll().
  uint32_t* free_ = nullptr;
  uint32_t* released_ = nullptr;
  size_t capacity_ = 0;
  size_t used_ = 0;
  size_t free_count_ = 0;
  size_t released_count_ = 0;
};

}  // namespace socket_tuner::kernel

#endif  // SOCKET_TUNER_KERNEL_POLLER_H_

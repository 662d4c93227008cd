#ifdef __linux__

#include "poller.h"

#include "socket.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace socket_tuner::kernel {
namespace {

// Edge-triggered, so that one epoll_ctl() is enough for the life of a connection.
constexpr uint32_t kEvents = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;
// With one of these, more may be behind a short read: a FIN, an error, or what follows urgent data,
// at which recv() stops.
constexpr uint32_t kMore = EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr int kSend = MSG_NOSIGNAL | MSG_DONTWAIT;
constexpr size_t kMostEvents = 256;
constexpr size_t kMostRead = 65536;
constexpr size_t kFirstCapacity = 64;
// Indexes must fit into the 32 bits of a record.
constexpr size_t kMostSockets = size_t{1} << 24;

bool IsTemporary(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

int Control(int epoll, int operation, int fd, size_t slot, uint32_t generation) {
  epoll_event event{};
  event.events = kEvents;
  event.data.u64 = uint64_t{generation} << 32 | slot;
  return epoll_ctl(epoll, operation, fd, &event) < 0 ? -errno : 0;
}

int ErrorOf(int fd) {
  int error = 0;
  socklen_t length = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) return errno;
  return error;
}

template <typename Type>
bool Resize(Type** array, size_t count) {
  void* memory = std::realloc(*array, count * sizeof(Type));
  if (memory == nullptr) return false;
  *array = static_cast<Type*>(memory);
  return true;
}

}  // namespace

struct Poller::Batch {
  int32_t* records;
  size_t most;
  size_t count;
  uint8_t* input;
  size_t input_length;
  size_t input_used;

  void Add(size_t slot, PollerKind kind, int number = 0) {
    int32_t* record = records + count * kFields;
    record[kSlot] = static_cast<int32_t>(slot);
    record[kKind] = kind;
    record[kNumber] = number;
    record[kOffset] = static_cast<int32_t>(input_used);
    count++;
  }

  // What was read to the front of the room.
  void AddInput(size_t slot, size_t length) {
    Add(slot, kInput, static_cast<int>(length));
    input_used += length;
  }

  size_t room() const { return input_length - input_used; }
};

Poller::~Poller() {
  for (size_t slot = 0; slot < used_; slot++) std::free(sockets_[slot].queue);
  std::free(sockets_);
  std::free(free_);
  std::free(released_);
  Close();
}

int Poller::Open() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  return epoll_ < 0 ? -errno : 0;
}

void Poller::Close() {
  if (epoll_ >= 0) close(epoll_);
  epoll_ = -1;
}

int Poller::Grow() {
  if (used_ < capacity_) return 0;
  if (capacity_ >= kMostSockets) return -EMFILE;
  const size_t capacity = capacity_ == 0 ? kFirstCapacity : capacity_ * 2;
  if (!Resize(&sockets_, capacity) || !Resize(&free_, capacity) || !Resize(&released_, capacity)) {
    return -ENOMEM;
  }
  capacity_ = capacity;
  return 0;
}

int Poller::Watch(int fd) {
  size_t slot = used_;
  if (free_count_ > 0) {
    slot = free_[free_count_ - 1];
  } else {
    const int error = Grow();
    if (error < 0) return error;
  }
  const uint32_t generation = slot == used_ ? 0 : sockets_[slot].generation;
  const int error = Control(epoll_, EPOLL_CTL_ADD, fd, slot, generation);
  if (error < 0) return error;
  if (slot == used_) {
    used_++;
  } else {
    free_count_--;
  }
  sockets_[slot] = {fd, generation, false, 0, nullptr, 0, 0};
  return static_cast<int>(slot);
}

int Poller::Unwatch(size_t slot) {
  if (!IsUsed(slot)) return -EBADF;
  Socket* socket = &sockets_[slot];
  std::free(socket->queue);
  *socket = {-1, socket->generation + 1, false, 0, nullptr, 0, 0};
  released_[released_count_++] = static_cast<uint32_t>(slot);
  return 0;
}

int64_t Poller::Write(size_t slot, const uint8_t* bytes, size_t length) {
  if (!IsUsed(slot)) return -EBADF;
  Socket* socket = &sockets_[slot];
  size_t sent = 0;
  while (socket->queued == 0 && sent < length) {
    const ssize_t result = send(socket->fd, bytes + sent, length - sent, kSend);
    if (result >= 0) {
      sent += static_cast<size_t>(result);
    } else if (IsTemporary(errno)) {
      break;
    } else if (errno != EINTR) {
      return -errno;
    }
  }
  if (sent < length) {
    const int error = Keep(socket, bytes + sent, length - sent);
    if (error < 0) return error;
  }
  return static_cast<int64_t>(sent);
}

int64_t Poller::Queued(size_t slot) const {
  return IsUsed(slot) ? static_cast<int64_t>(sockets_[slot].queued) : -EBADF;
}

// Appends to the queue.
int Poller::Keep(Socket* socket, const uint8_t* bytes, size_t length) {
  auto* queue = static_cast<uint8_t*>(std::malloc(socket->queued + length));
  if (queue == nullptr) return -ENOMEM;
  if (socket->queued > 0) {
    std::memcpy(queue, socket->queue + socket->queued_from, socket->queued);
  }
  std::memcpy(queue + socket->queued, bytes, length);
  std::free(socket->queue);
  socket->queue = queue;
  socket->queued += length;
  socket->queued_from = 0;
  return 0;
}

// Sends from the queue. 0 or a negated errno.
int Poller::Flush(Socket* socket) {
  while (socket->queued > 0) {
    const ssize_t result =
        send(socket->fd, socket->queue + socket->queued_from, socket->queued, kSend);
    if (result >= 0) {
      socket->queued_from += static_cast<size_t>(result);
      socket->queued -= static_cast<size_t>(result);
    } else if (IsTemporary(errno)) {
      return 0;
    } else if (errno != EINTR) {
      return -errno;
    }
  }
  std::free(socket->queue);
  socket->queue = nullptr;
  socket->queued_from = 0;
  return 0;
}

void Poller::CloseSockets() {
  for (size_t slot = 0; slot < used_; slot++) {
    if (!IsUsed(slot)) continue;
    const int fd = sockets_[slot].fd;
    static_cast<void>(Unwatch(slot));
    static_cast<void>(CloseFd(fd));
  }
}

size_t Poller::Poll(int32_t* records, size_t most_records, uint8_t* input, size_t input_length) {
  for (; released_count_ > 0; released_count_--) {
    free_[free_count_++] = released_[released_count_ - 1];
  }
  Batch batch = {records, most_records, 0, input, input_length, 0};
  const size_t most = std::min(kMostEvents, most_records / kRecordsOfEvent);
  if (most == 0) return 0;
  epoll_event events[kMostEvents];
  const int count = epoll_wait(epoll_, events, static_cast<int>(most), 0);
  for (int i = 0; i < count; i++) {
    // Each of the events that follow may need its records.
    batch.most = most_records - kRecordsOfEvent * static_cast<size_t>(count - i - 1);
    const uint64_t data = events[i].data.u64;
    const auto slot = static_cast<uint32_t>(data);
    // Events also come of sockets that are forgotten and not closed.
    if (!IsUsed(slot) || sockets_[slot].generation != data >> 32) continue;
    Handle(slot, events[i].events, &batch);
  }
  return batch.count;
}

void Poller::Handle(size_t slot, uint32_t events, Batch* batch) {
  Socket* socket = &sockets_[slot];
  if (!socket->opened) {
    const int error = (events & (EPOLLERR | EPOLLHUP)) == 0 ? 0 : ErrorOf(socket->fd);
    if (error != 0) {
      batch->Add(slot, kFailed, error);
      return;
    }
    if ((events & EPOLLOUT) == 0) return;
    socket->opened = true;
    batch->Add(slot, kOpened);
  }
  if ((events & EPOLLOUT) != 0 && socket->queued > 0 && socket->failure == 0) {
    // What the peer has sent is read before a failure is reported: it may have answered before.
    socket->failure = -Flush(socket);
    if (socket->failure != 0) events |= EPOLLERR;
  }
  if ((events & (EPOLLIN | kMore)) != 0) Read(slot, events, batch);
}

void Poller::Read(size_t slot, uint32_t events, Batch* batch) {
  const int fd = sockets_[slot].fd;
  // send() has taken the error from the socket, which then looks as if the peer had finished.
  const int failure = sockets_[slot].failure;
  for (;;) {
    // The end needs a record too.
    if (batch->room() < kLeastRoom || batch->count + 2 > batch->most) {
      Rearm(slot);
      return;
    }
    const size_t wanted = std::min(kMostRead, batch->room());
    const ssize_t result = recv(fd, batch->input + batch->input_used, wanted, MSG_DONTWAIT);
    if (result > 0) {
      const auto length = static_cast<size_t>(result);
      batch->AddInput(slot, length);
      // A short read has emptied the queue: epoll(7).
      if (length < wanted && (events & kMore) == 0) return;
    } else if (result == 0) {
      batch->Add(slot, failure == 0 ? kEnded : kFailed, failure);
      return;
    } else if (IsTemporary(errno)) {
      if (failure != 0) batch->Add(slot, kFailed, failure);
      return;
    } else if (errno != EINTR) {
      batch->Add(slot, kFailed, errno);
      return;
    }
  }
}

// Makes epoll report the socket again.
void Poller::Rearm(size_t slot) {
  static_cast<void>(
      Control(epoll_, EPOLL_CTL_MOD, sockets_[slot].fd, slot, sockets_[slot].generation));
}

}  // namespace socket_tuner::kernel

#endif  // __linux__

// getsockopt(2) and setsockopt(2) by the shape of their value: a 4-byte integer, a run of bytes, a classic
// BPF program. What an option means is not known here.
#ifndef SOCKET_TUNER_KERNEL_SOCKOPT_H_
#define SOCKET_TUNER_KERNEL_SOCKOPT_H_

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <sys/socket.h>

#ifdef __linux__
#include <linux/filter.h>
#endif

namespace socket_tuner {

// getsockopt(SO_GET_FILTER) takes its length in instructions of eight bytes and writes that many:
// a buffer for n bytes has to hold 8n for it, whatever option the caller meant.
constexpr size_t kLengthUnit = 8;

// 0 or a negated errno.
inline int SetRaw(int fd, int level, int name, const void* value, size_t length) {
  return setsockopt(fd, level, name, value, static_cast<socklen_t>(length)) == 0 ? 0 : -errno;
}

// Reads at most `capacity` bytes into `out`, zeroed first. The length, or a negated errno.
inline int GetRaw(int fd, int level, int name, uint8_t* out, size_t capacity) {
  uint8_t small[64 * kLengthUnit];
  std::unique_ptr<uint8_t[]> large;
  uint8_t* buffer = small;
  const size_t room = capacity * kLengthUnit;
  if (room > sizeof(small)) {
    large.reset(new (std::nothrow) uint8_t[room]);
    if (!large) return -ENOMEM;
    buffer = large.get();
  }
  std::memset(buffer, 0, room);
  socklen_t length = static_cast<socklen_t>(capacity);
  if (getsockopt(fd, level, name, buffer, &length) != 0) return -errno;
  if (length > capacity) return -EMSGSIZE;
  if (capacity > 0) std::memcpy(out, buffer, capacity);
  return static_cast<int>(length);
}

// A 4-byte integer. Some options answer with a single byte. 0 or a negated errno.
inline int GetRawInt(int fd, int level, int name, int* out) {
  uint8_t value[sizeof(int)];
  const int length = GetRaw(fd, level, name, value, sizeof(value));
  if (length < 0) return length;
  if (length == 1) {
    *out = value[0];
    return 0;
  }
  if (length != static_cast<int>(sizeof(int))) return -EMSGSIZE;
  std::memcpy(out, value, sizeof(int));
  return 0;
}

// Attaches a classic BPF program given as its instructions. 0 or a negated errno.
inline int SetProgram(int fd, int level, int name, const void* instructions, size_t length) {
#ifdef __linux__
  constexpr size_t kInstruction = sizeof(sock_filter);
  static_assert(kInstruction == kLengthUnit, "a BPF instruction is eight bytes");
  if (length == 0 || length % kInstruction != 0) return -EINVAL;
  const size_t count = length / kInstruction;
  if (count > BPF_MAXINSNS) return -EINVAL;
  std::unique_ptr<sock_filter[]> copy(new (std::nothrow) sock_filter[count]);
  if (!copy) return -ENOMEM;
  std::memcpy(copy.get(), instructions, length);
  sock_fprog program{};
  program.len = static_cast<unsigned short>(count);
  program.filter = copy.get();
  return SetRaw(fd, level, name, &program, sizeof(program));
#else
  (void)fd, (void)level, (void)name, (void)instructions, (void)length;
  return -ENOPROTOOPT;
#endif
}

}  // namespace socket_tuner

#endif  // SOCKET_TUNER_KERNEL_SOCKOPT_H_

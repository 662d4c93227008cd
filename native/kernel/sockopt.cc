#include "sockopt.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <sys/socket.h>

#ifdef __linux__
#include <linux/filter.h>
#endif

namespace socket_tuner::kernel {
namespace {

// getsockopt(SO_GET_FILTER) takes the length as a number of instructions, and writes eight bytes
// for each. So a buffer for n bytes needs 8n, whatever the option.
constexpr size_t kLengthUnit = 8;

int Set(int fd, int level, int name, const void* value, size_t length) {
  return setsockopt(fd, level, name, value, static_cast<socklen_t>(length)) == 0 ? 0 : -errno;
}

}  // namespace

int64_t GetInt(int fd, int level, int name) {
  uint8_t bytes[sizeof(uint32_t)];
  const int length = GetBytes(fd, level, name, bytes, sizeof(bytes));
  if (length < 0) return length;
  if (length == 1) return bytes[0];
  if (length != static_cast<int>(sizeof(bytes))) return -EMSGSIZE;
  uint32_t value = 0;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

int SetInt(int fd, int level, int name, int value) {
  return Set(fd, level, name, &value, sizeof(value));
}

int GetBytes(int fd, int level, int name, uint8_t* out, size_t capacity) {
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

int SetBytes(int fd, int level, int name, const uint8_t* value, size_t length) {
  return Set(fd, level, name, value, length);
}

int SetProgram(int fd, int level, int name, const uint8_t* instructions, size_t length) {
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
  return Set(fd, level, name, &program, sizeof(program));
#else
  (void)fd, (void)level, (void)name, (void)instructions, (void)length;
  return -ENOPROTOOPT;
#endif
}

}  // namespace socket_tuner::kernel

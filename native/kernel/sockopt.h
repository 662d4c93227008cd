// getsockopt(2) and setsockopt(2) for three kinds of values: a 4-byte integer, bytes, and a classic
// BPF program. This file does not depend on the meaning of an option.
#ifndef SOCKET_TUNER_KERNEL_SOCKOPT_H_
#define SOCKET_TUNER_KERNEL_SOCKOPT_H_

#include <cstddef>
#include <cstdint>

namespace socket_tuner::kernel {

// The longest value. IP_OPTIONS, TCP_MD5SIG and TCP_SAVED_SYN have hundreds of bytes; a BPF program
// of 4,096 instructions, the kernel's limit, has 32 KiB.
constexpr size_t kMaxOptionBytes = 32768;

// Returns the 32 bits of an integer option as a number from 0 to 2^32 - 1, or a negated errno. Some
// options have a single byte.
int64_t GetInt(int fd, int level, int name);

// Returns 0 or a negated errno.
int SetInt(int fd, int level, int name, int value);

// Reads at most `capacity` bytes into `out`, and fills the rest of it with zeros. Returns the
// length of the value, or a negated errno: -EMSGSIZE for a longer one.
int GetBytes(int fd, int level, int name, uint8_t* out, size_t capacity);

// Returns 0 or a negated errno.
int SetBytes(int fd, int level, int name, const uint8_t* value, size_t length);

// Attaches a classic BPF program. An instruction has eight bytes. Returns 0 or a negated errno.
int SetProgram(int fd, int level, int name, const uint8_t* instructions, size_t length);

}  // namespace socket_tuner::kernel

#endif  // SOCKET_TUNER_KERNEL_SOCKOPT_H_

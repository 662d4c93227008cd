// getsockopt(2) and setsockopt(2) by the shape of the value: a 4-byte integer, a run of bytes, a
// classic BPF program. Nothing here knows what an option means.
#ifndef SOCKET_TUNER_KERNEL_SOCKOPT_H_
#define SOCKET_TUNER_KERNEL_SOCKOPT_H_

#include <cstddef>
#include <cstdint>

namespace socket_tuner::kernel {

// The longest value that is written or read. IP_OPTIONS, TCP_MD5SIG and a TCP_SAVED_SYN are
// hundreds of bytes; a BPF program of 4,096 instructions, the kernel's limit, is 32 KiB.
constexpr size_t kMaxOptionBytes = 32768;

// The 32 bits of an integer option as a number from 0 to 2^32 - 1, or a negated errno. Some options
// answer with a single byte.
int64_t GetInt(int fd, int level, int name);

// 0 or a negated errno.
int SetInt(int fd, int level, int name, int value);

// Reads at most `capacity` bytes into `out`, zeroed first. The length, or a negated errno.
int GetBytes(int fd, int level, int name, uint8_t* out, size_t capacity);

// 0 or a negated errno.
int SetBytes(int fd, int level, int name, const uint8_t* value, size_t length);

// Attaches a classic BPF program given as its instructions, eight bytes each. 0 or a negated errno.
int SetProgram(int fd, int level, int name, const uint8_t* instructions, size_t length);

// Reads struct tcp_info into `out`: how many bytes the kernel wrote, or a negated errno. The kernel
// copies the shorter of its own struct and the capacity, so what lies past that length is not from
// this call.
int GetTcpInfo(int fd, uint8_t* out, size_t capacity);

}  // namespace socket_tuner::kernel

#endif  // SOCKET_TUNER_KERNEL_SOCKOPT_H_

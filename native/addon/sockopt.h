// getsockopt(2) and setsockopt(2) by the shape of their value: a 4-byte integer, a run of bytes,
// a classic BPF program. What an option means is not known here.
#ifndef SOCKET_TUNER_ADDON_SOCKOPT_H_
#define SOCKET_TUNER_ADDON_SOCKOPT_H_

#include <napi.h>

namespace socket_tuner {

// The longest value that is written or read. IP_OPTIONS, TCP_MD5SIG and a TCP_SAVED_SYN are
// hundreds of bytes; a BPF program of 4,096 instructions, the kernel's limit, is 32 KiB.
constexpr size_t kMaxOptionBytes = 32768;

void ExportSockopt(Napi::Env env, Napi::Object exports);

}  // namespace socket_tuner

#endif  // SOCKET_TUNER_ADDON_SOCKOPT_H_

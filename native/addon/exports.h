// What the addon exports: lib/kernel/binding.ts has the same list in TypeScript, and addon.cc the
// names.
//
// Each function makes one system call (applyBatch: several) and returns its value or a negative
// errno. An argument that is no descriptor, no 32-bit integer or no typed array gives -EINVAL. None
// of them throws.
#ifndef SOCKET_TUNER_ADDON_EXPORTS_H_
#define SOCKET_TUNER_ADDON_EXPORTS_H_

#include <napi.h>

namespace socket_tuner::addon {

// constants.cc: numbers of this platform by name.
Napi::Object Constants(Napi::Env env);

// sockopt.cc
// getInt(fd, level, name): the 32 bits of the value as an unsigned number
Napi::Value GetInt(const Napi::CallbackInfo& info);
// setInt(fd, level, name, value): 0
Napi::Value SetInt(const Napi::CallbackInfo& info);
// getBytes(fd, level, name, out): length written to the front of `out`
Napi::Value GetBytes(const Napi::CallbackInfo& info);
// setBytes(fd, level, name, value): 0
Napi::Value SetBytes(const Napi::CallbackInfo& info);
// setProgram(fd, level, name, instructions): 0
Napi::Value SetProgram(const Napi::CallbackInfo& info);
// tcpInfo(fd, out): length of struct tcp_info written to the front of `out`
Napi::Value TcpInfo(const Napi::CallbackInfo& info);

// batch.cc
// applyBatch(fd, program: Int32Array, data: Uint8Array, count): how many operations went well,
// which is the index of the one that failed
Napi::Value ApplyBatch(const Napi::CallbackInfo& info);

// socket.cc
// openSocket(domain, type, protocol): a non-blocking, close-on-exec descriptor
Napi::Value OpenSocket(const Napi::CallbackInfo& info);
// closeFd(fd): 0
Napi::Value CloseFd(const Napi::CallbackInfo& info);
// duplicateFd(fd): another close-on-exec descriptor of the same socket
Napi::Value DuplicateFd(const Napi::CallbackInfo& info);
// descriptorLimit(): the soft limit on open descriptors, above 2**53 when there is none
Napi::Value DescriptorLimit(const Napi::CallbackInfo& info);
// bindFd(fd, address, port): 0
Napi::Value BindFd(const Napi::CallbackInfo& info);
// connectFd(fd, address, port): 0; -EINPROGRESS when it goes on
Napi::Value ConnectFd(const Napi::CallbackInfo& info);
// listenFd(fd, backlog): 0
Napi::Value ListenFd(const Napi::CallbackInfo& info);
// shutdownWrite(fd): 0
Napi::Value ShutdownWrite(const Napi::CallbackInfo& info);
// localPort(fd): the bound port, 0 when unbound; -EAFNOSUPPORT for a socket without ports
Napi::Value LocalPort(const Napi::CallbackInfo& info);
// localAddress(fd, out): length of the bound address, as text, written to the front of `out`
Napi::Value LocalAddress(const Napi::CallbackInfo& info);
// localPath(fd, out): length of the name of a unix-domain socket written to the front of `out`, of
// an abstract one with the NUL before it, 0 when unbound; -EAFNOSUPPORT for another domain
Napi::Value LocalPath(const Napi::CallbackInfo& info);

// queues.cc
// unreadBytes(fd), unacknowledgedBytes(fd), unsentBytes(fd): bytes that wait
Napi::Value UnreadBytes(const Napi::CallbackInfo& info);
Napi::Value UnacknowledgedBytes(const Napi::CallbackInfo& info);
Napi::Value UnsentBytes(const Napi::CallbackInfo& info);
// discardInput(fd): bytes of received input that were discarded
Napi::Value DiscardInput(const Napi::CallbackInfo& info);

// owner.cc
// ownFd(fd, owner): 0 when the object `owner` owns the socket from now on; it is the caller's
// otherwise
Napi::Value OwnFd(const Napi::CallbackInfo& info);
// disownFd(owner): the descriptor, the caller's from now on; -EBADF when it was given away before
Napi::Value DisownFd(const Napi::CallbackInfo& info);

// sock_diag_dump.cc
// dumpSockets(families, states, groupBy, filter, done): 0 when it is under way. `families` has 1
// for IPv4 and 2 for IPv6. `done` is called later with (-errno), or with (sockets, records,
// interrupted, microseconds of processor time).
Napi::Value DumpSockets(const Napi::CallbackInfo& info);

// sock_diag_destroy.cc
// destroyTimeWait(filter, done): 0 when it is under way. `done` is called later with the number
// that was removed, or -errno.
Napi::Value DestroyTimeWait(const Napi::CallbackInfo& info);

// signal_text.cc
// setSignalText(text): 0
Napi::Value SetSignalText(const Napi::CallbackInfo& info);
// writeOnSignal(signal): 1 when the signal writes the text from now on, 0 when it does not end the
// process
Napi::Value WriteOnSignal(const Napi::CallbackInfo& info);

}  // namespace socket_tuner::addon

#endif  // SOCKET_TUNER_ADDON_EXPORTS_H_

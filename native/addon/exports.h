// The exports of the addon. lib/kernel/binding.ts has the same list in TypeScript, and addon.cc the
// names.
//
// Each function makes one system call (applyBatch: several) and returns its value or a negative
// errno: -EINVAL for an argument that is not a descriptor, a 32-bit integer or a typed array as
// listed. No function throws.
#ifndef SOCKET_TUNER_ADDON_EXPORTS_H_
#define SOCKET_TUNER_ADDON_EXPORTS_H_

#include <napi.h>

namespace socket_tuner::addon {

// constants.cc: the numbers of this platform, by name.
Napi::Object Constants(Napi::Env env);

// sockopt.cc
// getInt(fd, level, name): the 32 bits of the value as an unsigned number
Napi::Value GetInt(const Napi::CallbackInfo& info);
// setInt(fd, level, name, value): 0
Napi::Value SetInt(const Napi::CallbackInfo& info);
// getBytes(fd, level, name, out): the length of the value, which is written to the front of `out`
Napi::Value GetBytes(const Napi::CallbackInfo& info);
// setBytes(fd, level, name, value): 0
Napi::Value SetBytes(const Napi::CallbackInfo& info);
// setProgram(fd, level, name, instructions): 0
Napi::Value SetProgram(const Napi::CallbackInfo& info);
// tcpInfo(fd, out): the length of struct tcp_info, which is written to the front of `out`
Napi::Value TcpInfo(const Napi::CallbackInfo& info);

// batch.cc
// applyBatch(fd, program: Int32Array, data: Uint8Array, count): the number of operations that
// succeeded, which is the index of the one that failed
Napi::Value ApplyBatch(const Napi::CallbackInfo& info);

// socket.cc
// openSocket(domain, type, protocol): a non-blocking, close-on-exec descriptor
Napi::Value OpenSocket(const Napi::CallbackInfo& info);
// closeFd(fd): 0
Napi::Value CloseFd(const Napi::CallbackInfo& info);
// duplicateFd(fd): another close-on-exec descriptor of the same socket
Napi::Value DuplicateFd(const Napi::CallbackInfo& info);
// descriptorLimit(): the soft limit on open descriptors; above 2**53 if there is none
Napi::Value DescriptorLimit(const Napi::CallbackInfo& info);
// bindFd(fd, address, port): 0
Napi::Value BindFd(const Napi::CallbackInfo& info);
// connectFd(fd, address, port): 0; -EINPROGRESS while the connection is being made
Napi::Value ConnectFd(const Napi::CallbackInfo& info);
// listenFd(fd, backlog): 0
Napi::Value ListenFd(const Napi::CallbackInfo& info);
// shutdownWrite(fd): 0
Napi::Value ShutdownWrite(const Napi::CallbackInfo& info);
// localPort(fd): the bound port, 0 if the socket is not bound; -EAFNOSUPPORT for a socket without
// ports
Napi::Value LocalPort(const Napi::CallbackInfo& info);
// localAddress(fd, out): the length of the bound address, which is written to the front of `out` as
// text
Napi::Value LocalAddress(const Napi::CallbackInfo& info);
// localPath(fd, out): the length of the name of a unix-domain socket, which is written to the front
// of `out`; 0 if the socket is not bound. An abstract name begins with its NUL. -EAFNOSUPPORT for a
// socket of another domain
Napi::Value LocalPath(const Napi::CallbackInfo& info);

// queues.cc
// unreadBytes(fd), unacknowledgedBytes(fd), unsentBytes(fd): the bytes in a queue
Napi::Value UnreadBytes(const Napi::CallbackInfo& info);
Napi::Value UnacknowledgedBytes(const Napi::CallbackInfo& info);
Napi::Value UnsentBytes(const Napi::CallbackInfo& info);
// discardInput(fd): the bytes of received input that were discarded
Napi::Value DiscardInput(const Napi::CallbackInfo& info);

// owner.cc
// ownFd(fd, owner): 0 if the object `owner` now owns the socket; otherwise the caller still does
Napi::Value OwnFd(const Napi::CallbackInfo& info);
// disownFd(owner): the descriptor, which the caller now owns; -EBADF if the owner has none
Napi::Value DisownFd(const Napi::CallbackInfo& info);

// poller.cc: sockets that are polled from the event loop. openPoller(records: Int32Array, input:
// Uint8Array, wake): the number of a new poller, which keeps the event loop alive until it is
// closed. `wake` is called with the number of records that were written to `records`, each of
// kFields numbers; what was read is in `input`. -EMFILE if there are too many, -ENOSYS where the
// runtime has no libuv. The other functions return -EINVAL for a number without an open poller.
Napi::Value OpenPoller(const Napi::CallbackInfo& info);
// closePoller(poller): 0; -EBADF if there is none. The sockets stay open: the caller owns them.
Napi::Value ClosePoller(const Napi::CallbackInfo& info);
// watchFd(poller, fd): the slot of a socket whose connect() has begun. If the environment (a worker
// thread) ends before the socket is forgotten or the poller is closed, the socket is closed.
Napi::Value WatchFd(const Napi::CallbackInfo& info);
// unwatchSlot(poller, slot): 0; call it right before the socket is closed
Napi::Value UnwatchSlot(const Napi::CallbackInfo& info);
// writeToSlot(poller, slot, bytes): how many bytes the kernel took; the rest follows
Napi::Value WriteToSlot(const Napi::CallbackInfo& info);
// queuedInSlot(poller, slot): bytes that the kernel has not taken yet
Napi::Value QueuedInSlot(const Napi::CallbackInfo& info);

// sock_diag_dump.cc
// dumpSockets(families, states, groupBy, filter, done): 0 if the count has begun. `families` is 1
// for IPv4, 2 for IPv6, 3 for both. `done` is called later with (-errno), or with (sockets,
// records, interrupted, microseconds of processor time).
Napi::Value DumpSockets(const Napi::CallbackInfo& info);

// socket_list.cc
// listSockets(states, done): 0 if the list has begun. `done` is called later with (-errno), or with
// (records, microseconds of processor time).
Napi::Value ListSockets(const Napi::CallbackInfo& info);

// ended_sockets.cc: -EINVAL for an object that owns no subscription.
// openEndedSockets(owner, records: Uint8Array, receiveBufferBytes, wake): 0 when the object `owner`
// owns a subscription from now on, which does not keep the event loop alive. `wake` is called with
// the number of ended sockets that were written to `records`, or once with -errno after which
// nothing more is received. -ENOSYS where the runtime has no libuv.
Napi::Value OpenEndedSockets(const Napi::CallbackInfo& info);
// closeEndedSockets(owner): 0
Napi::Value CloseEndedSockets(const Napi::CallbackInfo& info);
// lostEndedSockets(owner): the broadcasts that were lost so far, modulo 2^32
Napi::Value LostEndedSockets(const Napi::CallbackInfo& info);

// sock_diag_destroy.cc
// destroyTimeWait(filter, done): 0 if the removal has begun. `done` is called later with the number
// of removed entries, or -errno.
Napi::Value DestroyTimeWait(const Napi::CallbackInfo& info);

// signal_text.cc
// setSignalText(text): 0
Napi::Value SetSignalText(const Napi::CallbackInfo& info);
// writeOnSignal(signal): 1 if the signal now writes the text; 0 if it does not end the process
Napi::Value WriteOnSignal(const Napi::CallbackInfo& info);

}  // namespace socket_tuner::addon

#endif  // SOCKET_TUNER_ADDON_EXPORTS_H_

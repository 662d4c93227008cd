#include "../kernel/socket.h"

#include "args.h"
#include "exports.h"

#include <cstring>

namespace socket_tuner::addon {
namespace {

// Calls a function of the kernel's interface that takes a descriptor, an address and a port.
template <auto Call>
Napi::Value WithAddress(const Napi::CallbackInfo& info) {
  int fd = 0;
  size_t port = 0;
  char text[128];
  size_t length = 0;
  if (!ReadFd(info, 0, &fd) || !ReadSize(info, 2, UINT16_MAX, &port) ||
      napi_get_value_string_utf8(info.Env(), info[1], text, sizeof(text), &length) != napi_ok ||
      length >= sizeof(text) - 1 || std::strlen(text) != length) {
    return BadArgument(info);
  }
  kernel::SocketAddress address;
  const int error = kernel::ParseAddress(text, static_cast<uint16_t>(port), &address);
  return Result(info, error < 0 ? error : Call(fd, address));
}

int LocalPortOf(int fd) {
  kernel::SocketAddress address;
  const int error = kernel::LocalName(fd, &address);
  return error < 0 ? error : kernel::PortOf(address);
}

}  // namespace

Napi::Value OpenSocket(const Napi::CallbackInfo& info) {
  int domain = 0;
  int type = 0;
  int protocol = 0;
  if (!ReadInt(info, 0, &domain) || !ReadInt(info, 1, &type) || !ReadInt(info, 2, &protocol)) {
    return BadArgument(info);
  }
  return Result(info, kernel::OpenSocket(domain, type, protocol));
}

Napi::Value CloseFd(const Napi::CallbackInfo& info) { return WithFd<kernel::CloseFd>(info); }

Napi::Value DuplicateFd(const Napi::CallbackInfo& info) {
  return WithFd<kernel::DuplicateFd>(info);
}

Napi::Value DescriptorLimit(const Napi::CallbackInfo& info) {
  return Result(info, kernel::DescriptorLimit());
}

Napi::Value BindFd(const Napi::CallbackInfo& info) { return WithAddress<kernel::Bind>(info); }

Napi::Value ConnectFd(const Napi::CallbackInfo& info) { return WithAddress<kernel::Connect>(info); }

Napi::Value ListenFd(const Napi::CallbackInfo& info) {
  int fd = 0;
  int backlog = 0;
  if (!ReadFd(info, 0, &fd) || !ReadInt(info, 1, &backlog)) return BadArgument(info);
  return Result(info, kernel::Listen(fd, backlog));
}

Napi::Value ShutdownWrite(const Napi::CallbackInfo& info) {
  return WithFd<kernel::ShutdownWrite>(info);
}

Napi::Value LocalPort(const Napi::CallbackInfo& info) { return WithFd<LocalPortOf>(info); }

Napi::Value LocalAddress(const Napi::CallbackInfo& info) {
  int fd = 0;
  Bytes out;
  if (!ReadFd(info, 0, &fd) || !ReadBytes(info, 1, &out)) return BadArgument(info);
  kernel::SocketAddress address;
  kernel::AddressText text;
  int error = kernel::LocalName(fd, &address);
  if (error == 0) error = kernel::FormatAddress(address, &text);
  if (error < 0) return Result(info, error);
  const size_t length = std::strlen(text.characters);
  if (length > out.length) return Result(info, -ENOSPC);
  std::memcpy(out.data, text.characters, length);
  return Result(info, length);
}

Napi::Value LocalPath(const Napi::CallbackInfo& info) {
  int fd = 0;
  Bytes out;
  if (!ReadFd(info, 0, &fd) || !ReadBytes(info, 1, &out)) return BadArgument(info);
  kernel::SocketAddress address;
  const int error = kernel::LocalName(fd, &address);
  return Result(info, error < 0 ? error : kernel::UnixName(address, out.data, out.length));
}

}  // namespace socket_tuner::addon

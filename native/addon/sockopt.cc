#include "../kernel/sockopt.h"

#include "../kernel/tcp_info.h"
#include "args.h"
#include "exports.h"

namespace socket_tuner::addon {
namespace {

struct Option {
  int fd;
  int level;
  int name;
};

bool ReadOption(const Napi::CallbackInfo& info, Option* out) {
  return ReadFd(info, 0, &out->fd) && ReadInt(info, 1, &out->level) && ReadInt(info, 2, &out->name);
}

// Calls a function of the kernel's interface that takes an option and reads or writes bytes.
template <auto Call>
Napi::Value WithBytes(const Napi::CallbackInfo& info) {
  Option option;
  Bytes bytes;
  if (!ReadOption(info, &option) || !ReadBytes(info, 3, &bytes) ||
      bytes.length > kernel::kMaxOptionBytes) {
    return BadArgument(info);
  }
  return Result(info, Call(option.fd, option.level, option.name, bytes.data, bytes.length));
}

}  // namespace

Napi::Value GetInt(const Napi::CallbackInfo& info) {
  Option option;
  if (!ReadOption(info, &option)) return BadArgument(info);
  return Result(info, kernel::GetInt(option.fd, option.level, option.name));
}

Napi::Value SetInt(const Napi::CallbackInfo& info) {
  Option option;
  int value = 0;
  if (!ReadOption(info, &option) || !ReadInt(info, 3, &value)) return BadArgument(info);
  return Result(info, kernel::SetInt(option.fd, option.level, option.name, value));
}

Napi::Value GetBytes(const Napi::CallbackInfo& info) { return WithBytes<kernel::GetBytes>(info); }

Napi::Value SetBytes(const Napi::CallbackInfo& info) { return WithBytes<kernel::SetBytes>(info); }

Napi::Value SetProgram(const Napi::CallbackInfo& info) {
  return WithBytes<kernel::SetProgram>(info);
}

Napi::Value TcpInfo(const Napi::CallbackInfo& info) {
  int fd = 0;
  Bytes out;
  if (!ReadFd(info, 0, &fd) || !ReadBytes(info, 1, &out) || out.length > UINT16_MAX) {
    return BadArgument(info);
  }
  return Result(info, kernel::GetTcpInfo(fd, out.data, out.length));
}

}  // namespace socket_tuner::addon

#include "sockopt.h"

#include "args.h"
#include "../kernel/sockopt.h"

namespace socket_tuner {
namespace {

// An integer option may hold any 32-bit number, negative ones too, so a failure is told apart by
// lying below all of them: kFailed - errno.
constexpr double kFailed = -4294967296.0;

struct Option {
  int fd;
  int level;
  int name;
};

bool ReadOption(const Napi::CallbackInfo& info, Option* out) {
  return ReadFd(info, 0, &out->fd) && ReadInt(info, 1, &out->level) &&
         ReadInt(info, 2, &out->name);
}

// getInt(fd, level, name): int32, or kFailed - errno
Napi::Value GetInt(const Napi::CallbackInfo& info) {
  Option option;
  if (!ReadOption(info, &option)) return Napi::Number::New(info.Env(), kFailed - EINVAL);
  int value = 0;
  const int error = GetRawInt(option.fd, option.level, option.name, &value);
  return Napi::Number::New(info.Env(), error < 0 ? kFailed + error : value);
}

// setInt(fd, level, name, value): 0 or -errno
Napi::Value SetInt(const Napi::CallbackInfo& info) {
  Option option;
  int value = 0;
  if (!ReadOption(info, &option) || !ReadInt(info, 3, &value)) return BadArgument(info);
  return Napi::Number::New(info.Env(),
                           SetRaw(option.fd, option.level, option.name, &value, sizeof(value)));
}

// A call that takes an option and bytes, to read them or to fill them.
template <auto Call>
Napi::Value WithBytes(const Napi::CallbackInfo& info) {
  Option option;
  Bytes bytes;
  if (!ReadOption(info, &option) || !ReadBytes(info, 3, &bytes) ||
      bytes.length > kMaxOptionBytes) {
    return BadArgument(info);
  }
  return Napi::Number::New(info.Env(),
                           Call(option.fd, option.level, option.name, bytes.data, bytes.length));
}

}  // namespace

void ExportSockopt(Napi::Env env, Napi::Object exports) {
  exports.Set("getInt", Napi::Function::New<GetInt>(env, "getInt"));
  exports.Set("setInt", Napi::Function::New<SetInt>(env, "setInt"));
  // getBytes(fd, level, name, out): length written to the front of `out`, or -errno
  exports.Set("getBytes", Napi::Function::New<WithBytes<GetRaw>>(env, "getBytes"));
  // setBytes(fd, level, name, value): 0 or -errno
  exports.Set("setBytes", Napi::Function::New<WithBytes<SetRaw>>(env, "setBytes"));
  // setProgram(fd, level, name, instructions): 0 or -errno
  exports.Set("setProgram", Napi::Function::New<WithBytes<SetProgram>>(env, "setProgram"));
}

}  // namespace socket_tuner

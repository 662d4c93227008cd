// A descriptor that is closed when nothing in JavaScript refers to it any more, and when its
// environment (a worker thread) ends: whichever comes first, and only once.
#include "../kernel/socket.h"
#include "../kernel/sockopt.h"
#include "args.h"
#include "exports.h"

#include <new>
#include <sys/socket.h>
#include <unistd.h>

namespace socket_tuner::addon {
namespace {

constexpr int kNone = -1;

// Tells an owner made here from any other object, so that nothing else is ever unwrapped as one.
constexpr napi_type_tag kTag = {0x3b1f6f0a54c84d1eULL, 0x9d2ac1e07be35f46ULL};

struct Owner {
  int fd;
};

void Finalize(napi_env, void* data, void*) {
  auto* owner = static_cast<Owner*>(data);
  if (owner->fd != kNone) static_cast<void>(kernel::CloseFd(owner->fd));
  delete owner;
}

}  // namespace

// Never of 0, 1 or 2: no socket of this library is one of them.
Napi::Value OwnFd(const Napi::CallbackInfo& info) {
  int fd = 0;
  napi_env env = info.Env();
  napi_valuetype kind = napi_undefined;
  if (!ReadFd(info, 0, &fd) || fd <= STDERR_FILENO || info.Length() < 2 ||
      napi_typeof(env, info[1], &kind) != napi_ok || kind != napi_object) {
    return BadArgument(info);
  }
  const int64_t type = kernel::GetInt(fd, SOL_SOCKET, SO_TYPE);
  if (type < 0) return Result(info, type);
  // An object can have one tag and one wrapping: one that has either already is refused.
  if (napi_type_tag_object(env, info[1], &kTag) != napi_ok) return BadArgument(info);
  auto* owner = new (std::nothrow) Owner{kNone};
  if (owner == nullptr) return Result(info, -ENOMEM);
  if (napi_wrap(env, info[1], owner, Finalize, nullptr, nullptr) != napi_ok) {
    delete owner;
    return BadArgument(info);
  }
  owner->fd = fd;
  return Result(info, 0);
}

Napi::Value DisownFd(const Napi::CallbackInfo& info) {
  napi_env env = info.Env();
  napi_valuetype type = napi_undefined;
  bool tagged = false;
  if (info.Length() < 1 || napi_typeof(env, info[0], &type) != napi_ok || type != napi_object ||
      napi_check_object_type_tag(env, info[0], &kTag, &tagged) != napi_ok || !tagged) {
    return BadArgument(info);
  }
  void* data = nullptr;
  if (napi_unwrap(env, info[0], &data) != napi_ok || data == nullptr) return BadArgument(info);
  auto* owner = static_cast<Owner*>(data);
  const int fd = owner->fd;
  owner->fd = kNone;
  return Result(info, fd == kNone ? -EBADF : fd);
}

}  // namespace socket_tuner::addon

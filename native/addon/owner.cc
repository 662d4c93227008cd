// Descriptors that belong to JavaScript objects. A descriptor is closed once: when the garbage
// collector removes its object, or when its environment (a worker thread) ends.
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

// Marks the owners that are made here, so that no other object is ever unwrapped as one.
constexpr napi_type_tag kFdTag = {0x3b1f6f0a54c84d1eULL, 0x9d2ac1e07be35f46ULL};

struct Owner {
  int fd;
};

void Finalize(napi_env, void* data, void*) {
  auto* owner = static_cast<Owner*>(data);
  if (owner->fd != kNone) static_cast<void>(kernel::CloseFd(owner->fd));
  delete owner;
}

}  // namespace

// Refuses 0, 1 and 2: no socket of this library has these numbers.
Napi::Value OwnFd(const Napi::CallbackInfo& info) {
  int fd = 0;
  napi_env env = info.Env();
  if (!ReadFd(info, 0, &fd) || fd <= STDERR_FILENO || info.Length() < 2 ||
      !IsObject(env, info[1])) {
    return BadArgument(info);
  }
  const int64_t type = kernel::GetInt(fd, SOL_SOCKET, SO_TYPE);
  if (type < 0) return Result(info, type);
  auto* owner = new (std::nothrow) Owner{kNone};
  if (owner == nullptr) return Result(info, -ENOMEM);
  if (!Own(env, info[1], kFdTag, owner, Finalize)) {
    delete owner;
    return BadArgument(info);
  }
  owner->fd = fd;
  return Result(info, 0);
}

Napi::Value DisownFd(const Napi::CallbackInfo& info) {
  auto* owner = static_cast<Owner*>(ReadOwned(info, 0, kFdTag));
  if (owner == nullptr) return BadArgument(info);
  const int fd = owner->fd;
  owner->fd = kNone;
  return Result(info, fd == kNone ? -EBADF : fd);
}

}  // namespace socket_tuner::addon

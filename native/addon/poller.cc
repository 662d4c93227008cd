// Sockets that are polled from the event loop of Node: see native/kernel/poller.h.
#ifdef __linux__

#include "../kernel/poller.h"

#include "args.h"
#include "exports.h"

#include <new>
#include <uv.h>

// A runtime that has Node-API but not libuv lacks them: they are null there.
#pragma weak uv_poll_init
#pragma weak uv_poll_start
#pragma weak uv_close

namespace socket_tuner::addon {
namespace {

// The most bytes of one write.
constexpr std::size_t kMostBytes = std::size_t{1} << 30;
// Pollers of one environment at a time.
constexpr std::size_t kMostPollers = 256;

struct Pollers;

struct PollerOwner {
  napi_env env = nullptr;
  // What JavaScript calls it.
  uint32_t number = 0;
  Pollers* all = nullptr;
  kernel::Poller poller;
  uv_poll_t handle{};
  napi_ref records = nullptr;
  napi_ref input = nullptr;
  napi_ref wake = nullptr;
  napi_async_cleanup_hook_handle hook = nullptr;
  bool polls = false;
  bool closes = false;
};

// The open pollers of an environment: that of a number is at its remainder. An object with a type
// tag for each of them would cost as much as a system call at each use.
struct Pollers {
  PollerOwner* open[kMostPollers] = {};
  uint32_t next = 0;
};

void FreePollers(napi_env, void* data, void*) { delete static_cast<Pollers*>(data); }

// The pollers of an environment; null without memory.
Pollers* PollersOf(napi_env env) {
  void* data = nullptr;
  if (napi_get_instance_data(env, &data) != napi_ok) return nullptr;
  if (data != nullptr) return static_cast<Pollers*>(data);
  auto* pollers = new (std::nothrow) Pollers;
  if (pollers == nullptr) return nullptr;
  if (napi_set_instance_data(env, pollers, FreePollers, nullptr) == napi_ok) return pollers;
  delete pollers;
  return nullptr;
}

// Gives the owner a number that no other one had for long. False if there are too many.
bool Enter(Pollers* all, PollerOwner* owner) {
  for (std::size_t tries = 0; tries < kMostPollers; tries++) {
    const uint32_t number = all->next;
    all->next = (number + 1) & INT32_MAX;
    PollerOwner** place = &all->open[number % kMostPollers];
    if (*place != nullptr) continue;
    *place = owner;
    owner->all = all;
    owner->number = number;
    return true;
  }
  return false;
}

void Leave(PollerOwner* owner) {
  if (owner->all == nullptr) return;
  owner->all->open[owner->number % kMostPollers] = nullptr;
  owner->all = nullptr;
}

void Release(napi_env env, napi_ref* reference) {
  if (*reference == nullptr) return;
  static_cast<void>(napi_delete_reference(env, *reference));
  *reference = nullptr;
}

void Free(PollerOwner* owner) {
  Leave(owner);
  Release(owner->env, &owner->records);
  Release(owner->env, &owner->input);
  Release(owner->env, &owner->wake);
  // The environment may end as soon as its last hook is removed.
  napi_async_cleanup_hook_handle hook = owner->hook;
  delete owner;
  if (hook != nullptr) static_cast<void>(napi_remove_async_cleanup_hook(hook));
}

void Closed(uv_handle_t* handle) { Free(static_cast<PollerOwner*>(handle->data)); }

void Close(PollerOwner* owner) {
  if (owner->closes) return;
  owner->closes = true;
  Leave(owner);
  // libuv holds the memory of the handle until its close callback.
  uv_close(reinterpret_cast<uv_handle_t*>(&owner->handle), Closed);
}

// No JavaScript is left that could close the sockets.
void CloseAtExit(napi_async_cleanup_hook_handle, void* data) {
  auto* owner = static_cast<PollerOwner*>(data);
  if (!owner->closes) owner->poller.CloseSockets();
  Close(owner);
}

// The memory of a typed array that a reference keeps; empty once it is detached.
Bytes MemoryOf(napi_env env, napi_ref reference) {
  Bytes bytes;
  napi_value array = nullptr;
  napi_typedarray_type type;
  if (napi_get_reference_value(env, reference, &array) != napi_ok || array == nullptr ||
      !ReadMemory(env, array, &type, &bytes)) {
    return {};
  }
  return bytes;
}

// An exception of the callback is one that nobody catches, as that of any callback of Node.
void Report(napi_env env) {
  bool pending = false;
  napi_value error = nullptr;
  if (napi_is_exception_pending(env, &pending) != napi_ok || !pending ||
      napi_get_and_clear_last_exception(env, &error) != napi_ok) {
    return;
  }
  static_cast<void>(napi_fatal_exception(env, error));
}

void Call(PollerOwner* owner) {
  napi_env env = owner->env;
  const Bytes records = MemoryOf(env, owner->records);
  const Bytes input = MemoryOf(env, owner->input);
  // Without memory nothing could ever be read, and the event would come again and again.
  if (records.length < kernel::kFields * kernel::kRecordsOfEvent ||
      input.length < kernel::kLeastRoom) {
    Close(owner);
    return;
  }
  const std::size_t count =
      owner->poller.Poll(reinterpret_cast<int32_t*>(records.data), records.length / kernel::kFields,
                         input.data, input.length);
  if (count == 0) return;
  napi_value global = nullptr;
  napi_value wake = nullptr;
  napi_value argument = nullptr;
  if (napi_get_global(env, &global) != napi_ok ||
      napi_get_reference_value(env, owner->wake, &wake) != napi_ok || wake == nullptr ||
      napi_create_uint32(env, static_cast<uint32_t>(count), &argument) != napi_ok) {
    return;
  }
  if (napi_make_callback(env, nullptr, global, wake, 1, &argument, nullptr) != napi_ok) Report(env);
}

void OnEvents(uv_poll_t* handle, int, int) {
  auto* owner = static_cast<PollerOwner*>(handle->data);
  napi_handle_scope scope = nullptr;
  if (owner->closes || napi_open_handle_scope(owner->env, &scope) != napi_ok) return;
  napi_env env = owner->env;
  Call(owner);
  static_cast<void>(napi_close_handle_scope(env, scope));
}

// Starts to poll. 0 or a negated errno; then the owner is freed, at once or once libuv has let it
// go.
int Start(PollerOwner* owner) {
  int error = -ENOSYS;
  uv_loop_s* loop = nullptr;
  if (uv_poll_init != nullptr && uv_poll_start != nullptr && uv_close != nullptr &&
      napi_get_uv_event_loop(owner->env, &loop) == napi_ok) {
    error = owner->poller.Open();
    if (error == 0) error = uv_poll_init(loop, &owner->handle, owner->poller.fd());
  }
  if (error < 0) {
    Free(owner);
    return error;
  }
  owner->handle.data = owner;
  if (napi_add_async_cleanup_hook(owner->env, CloseAtExit, owner, &owner->hook) != napi_ok) {
    owner->hook = nullptr;
    Close(owner);
    return -ENOMEM;
  }
  error = uv_poll_start(&owner->handle, UV_READABLE, OnEvents);
  if (error < 0) Close(owner);
  return error;
}

// The poller with the number of an argument; null once it is closed.
PollerOwner* OwnerIn(const Napi::CallbackInfo& info) {
  std::size_t number = 0;
  void* data = nullptr;
  if (!ReadSize(info, 0, INT32_MAX, &number) ||
      napi_get_instance_data(info.Env(), &data) != napi_ok || data == nullptr) {
    return nullptr;
  }
  PollerOwner* owner = static_cast<Pollers*>(data)->open[number % kMostPollers];
  return owner != nullptr && owner->number == number ? owner : nullptr;
}

}  // namespace

Napi::Value OpenPoller(const Napi::CallbackInfo& info) {
  napi_env env = info.Env();
  Bytes records;
  Bytes input;
  if (info.Length() < 3 || !ReadTypedArray(info, 0, napi_int32_array, &records) ||
      records.length < kernel::kFields * kernel::kRecordsOfEvent || !ReadBytes(info, 1, &input) ||
      input.length < kernel::kLeastRoom || !info[2].IsFunction()) {
    return BadArgument(info);
  }
  Pollers* all = PollersOf(env);
  if (all == nullptr) return Result(info, -ENOMEM);
  auto* owner = new (std::nothrow) PollerOwner;
  if (owner == nullptr) return Result(info, -ENOMEM);
  owner->env = env;
  if (!Enter(all, owner)) {
    Free(owner);
    return Result(info, -EMFILE);
  }
  if (napi_create_reference(env, info[0], 1, &owner->records) != napi_ok ||
      napi_create_reference(env, info[1], 1, &owner->input) != napi_ok ||
      napi_create_reference(env, info[2], 1, &owner->wake) != napi_ok) {
    Free(owner);
    return Result(info, -ENOMEM);
  }
  const uint32_t number = owner->number;
  const int error = Start(owner);
  return error < 0 ? Result(info, error) : Result(info, number);
}

Napi::Value ClosePoller(const Napi::CallbackInfo& info) {
  PollerOwner* owner = OwnerIn(info);
  if (owner == nullptr) return Result(info, -EBADF);
  Close(owner);
  return Result(info, 0);
}

Napi::Value WatchFd(const Napi::CallbackInfo& info) {
  PollerOwner* owner = OwnerIn(info);
  int fd = 0;
  if (owner == nullptr || !ReadFd(info, 1, &fd)) return BadArgument(info);
  return Result(info, owner->poller.Watch(fd));
}

Napi::Value UnwatchSlot(const Napi::CallbackInfo& info) {
  PollerOwner* owner = OwnerIn(info);
  std::size_t slot = 0;
  if (owner == nullptr || !ReadSize(info, 1, INT32_MAX, &slot)) return BadArgument(info);
  return Result(info, owner->poller.Unwatch(slot));
}

Napi::Value WriteToSlot(const Napi::CallbackInfo& info) {
  PollerOwner* owner = OwnerIn(info);
  std::size_t slot = 0;
  Bytes bytes;
  if (owner == nullptr || !ReadSize(info, 1, INT32_MAX, &slot) || !ReadBytes(info, 2, &bytes) ||
      bytes.length > kMostBytes) {
    return BadArgument(info);
  }
  return Result(info, owner->poller.Write(slot, bytes.data, bytes.length));
}

Napi::Value QueuedInSlot(const Napi::CallbackInfo& info) {
  PollerOwner* owner = OwnerIn(info);
  std::size_t slot = 0;
  if (owner == nullptr || !ReadSize(info, 1, INT32_MAX, &slot)) return BadArgument(info);
  return Result(info, owner->poller.Queued(slot));
}

}  // namespace socket_tuner::addon

#else

#include "args.h"
#include "exports.h"

namespace socket_tuner::addon {

Napi::Value OpenPoller(const Napi::CallbackInfo& info) { return Result(info, -ENOSYS); }
Napi::Value ClosePoller(const Napi::CallbackInfo& info) { return Result(info, -ENOSYS); }
Napi::Value WatchFd(const Napi::CallbackInfo& info) { return Result(info, -ENOSYS); }
Napi::Value UnwatchSlot(const Napi::CallbackInfo& info) { return Result(info, -ENOSYS); }
Napi::Value WriteToSlot(const Napi::CallbackInfo& info) { return Result(info, -ENOSYS); }
Napi::Value QueuedInSlot(const Napi::CallbackInfo& info) { return Result(info, -ENOSYS); }

}  // namespace socket_tuner::addon

#endif  // __linux__

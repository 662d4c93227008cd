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

constexpr napi_type_tag kPollerTag = {0x5c0f4f0d1a7e4b1fULL, 0x8e6d2f9a3b7c4d21ULL};

// The most bytes of one write.
constexpr std::size_t kMostBytes = std::size_t{1} << 30;

struct PollerOwner {
  napi_env env = nullptr;
  kernel::Poller poller;
  uv_poll_t handle{};
  napi_ref records = nullptr;
  napi_ref input = nullptr;
  napi_ref wake = nullptr;
  napi_async_cleanup_hook_handle hook = nullptr;
  // libuv holds the memory of the handle from its start to its close callback, and JavaScript that
  // of the owner until it is finalized.
  bool polls = false;
  bool closes = false;
  bool finalized = false;
};

void Closed(uv_handle_t* handle) {
  auto* owner = static_cast<PollerOwner*>(handle->data);
  owner->polls = false;
  // The owner may be garbage for long before it is finalized.
  owner->poller.Close();
  if (owner->hook != nullptr) {
    static_cast<void>(napi_remove_async_cleanup_hook(owner->hook));
    owner->hook = nullptr;
  }
  if (owner->finalized) delete owner;
}

void Close(PollerOwner* owner) {
  if (!owner->polls || owner->closes) return;
  owner->closes = true;
  uv_close(reinterpret_cast<uv_handle_t*>(&owner->handle), Closed);
}

// No JavaScript is left that could close the sockets.
void CloseAtExit(napi_async_cleanup_hook_handle, void* data) {
  auto* owner = static_cast<PollerOwner*>(data);
  if (!owner->closes) owner->poller.CloseSockets();
  Close(owner);
}

void Release(napi_env env, napi_ref* reference) {
  if (*reference == nullptr) return;
  static_cast<void>(napi_delete_reference(env, *reference));
  *reference = nullptr;
}

void FinalizePoller(napi_env env, void* data, void*) {
  auto* owner = static_cast<PollerOwner*>(data);
  Release(env, &owner->records);
  Release(env, &owner->input);
  Release(env, &owner->wake);
  owner->finalized = true;
  if (owner->polls) {
    Close(owner);
  } else {
    delete owner;
  }
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

// 0 or a negated errno.
int Start(PollerOwner* owner) {
  if (uv_poll_init == nullptr || uv_poll_start == nullptr || uv_close == nullptr) return -ENOSYS;
  const int opened = owner->poller.Open();
  if (opened < 0) return opened;
  uv_loop_s* loop = nullptr;
  if (napi_get_uv_event_loop(owner->env, &loop) != napi_ok) return -ENOSYS;
  const int initialized = uv_poll_init(loop, &owner->handle, owner->poller.fd());
  if (initialized < 0) return initialized;
  owner->handle.data = owner;
  owner->polls = true;
  if (napi_add_async_cleanup_hook(owner->env, CloseAtExit, owner, &owner->hook) != napi_ok) {
    owner->hook = nullptr;
    Close(owner);
    return -ENOMEM;
  }
  const int started = uv_poll_start(&owner->handle, UV_READABLE, OnEvents);
  if (started < 0) Close(owner);
  return started;
}

// The poller that an object owns; null for any other object, and once it is closed.
PollerOwner* OwnerIn(const Napi::CallbackInfo& info) {
  auto* owner = static_cast<PollerOwner*>(ReadOwned(info, 0, kPollerTag));
  return owner != nullptr && owner->polls && !owner->closes ? owner : nullptr;
}

}  // namespace

Napi::Value OpenPoller(const Napi::CallbackInfo& info) {
  napi_env env = info.Env();
  Bytes records;
  Bytes input;
  if (info.Length() < 4 || !IsObject(env, info[0]) ||
      !ReadTypedArray(info, 1, napi_int32_array, &records) ||
      records.length < kernel::kFields * kernel::kRecordsOfEvent || !ReadBytes(info, 2, &input) ||
      input.length < kernel::kLeastRoom || !info[3].IsFunction()) {
    return BadArgument(info);
  }
  auto* owner = new (std::nothrow) PollerOwner;
  if (owner == nullptr) return Result(info, -ENOMEM);
  owner->env = env;
  if (napi_create_reference(env, info[1], 1, &owner->records) != napi_ok ||
      napi_create_reference(env, info[2], 1, &owner->input) != napi_ok ||
      napi_create_reference(env, info[3], 1, &owner->wake) != napi_ok ||
      !Own(env, info[0], kPollerTag, owner, FinalizePoller)) {
    FinalizePoller(env, owner, nullptr);
    return BadArgument(info);
  }
  return Result(info, Start(owner));
}

Napi::Value ClosePoller(const Napi::CallbackInfo& info) {
  PollerOwner* owner = OwnerIn(info);
  if (owner == nullptr) return Result(info, -EBADF);
  Close(owner);
  // They may refer to the owner, which would then never be collected.
  Release(info.Env(), &owner->records);
  Release(info.Env(), &owner->input);
  Release(info.Env(), &owner->wake);
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

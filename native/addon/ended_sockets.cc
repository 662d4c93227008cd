// The broadcasts of ended sockets, read from the event loop of Node: see
// native/kernel/ended_sockets.h.
#ifdef __linux__

#include "../kernel/ended_sockets.h"

#include "args.h"
#include "exports.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <uv.h>

// A runtime that has Node-API but not libuv lacks them: they are null there.
#pragma weak uv_poll_init
#pragma weak uv_poll_start
#pragma weak uv_unref
#pragma weak uv_close

namespace socket_tuner::addon {
namespace {

constexpr napi_type_tag kEndedTag = {0x7be21c9f40d3451aULL, 0xa4c60d8813f25e97ULL};
constexpr std::size_t kMostBufferBytes = std::size_t{1} << 30;

struct EndedOwner {
  napi_env env = nullptr;
  kernel::EndedSockets feed;
  uv_poll_t handle{};
  napi_ref records = nullptr;
  napi_ref wake = nullptr;
  napi_async_cleanup_hook_handle hook = nullptr;
  // libuv holds the memory of the handle from its start to its close callback, and JavaScript that
  // of the owner until it is finalized.
  bool polls = false;
  bool closes = false;
  bool finalized = false;
};

void EndedClosed(uv_handle_t* handle) {
  auto* owner = static_cast<EndedOwner*>(handle->data);
  owner->polls = false;
  // The owner may be garbage for long before it is finalized.
  owner->feed.Close();
  if (owner->hook != nullptr) {
    static_cast<void>(napi_remove_async_cleanup_hook(owner->hook));
    owner->hook = nullptr;
  }
  if (owner->finalized) delete owner;
}

void CloseEnded(EndedOwner* owner) {
  if (!owner->polls || owner->closes) return;
  owner->closes = true;
  uv_close(reinterpret_cast<uv_handle_t*>(&owner->handle), EndedClosed);
}

void CloseEndedAtExit(napi_async_cleanup_hook_handle, void* data) {
  CloseEnded(static_cast<EndedOwner*>(data));
}

void ReleaseReference(napi_env env, napi_ref* reference) {
  if (*reference == nullptr) return;
  static_cast<void>(napi_delete_reference(env, *reference));
  *reference = nullptr;
}

void FinalizeEnded(napi_env env, void* data, void*) {
  auto* owner = static_cast<EndedOwner*>(data);
  ReleaseReference(env, &owner->records);
  ReleaseReference(env, &owner->wake);
  owner->finalized = true;
  if (owner->polls) {
    CloseEnded(owner);
  } else {
    owner->feed.Close();
    delete owner;
  }
}

// Copies the sockets to the memory of JavaScript. Returns their number; fewer if the memory has
// become smaller, which a detached array has.
int CopyRecords(EndedOwner* owner, int count) {
  napi_env env = owner->env;
  Bytes bytes;
  napi_value array = nullptr;
  napi_typedarray_type type;
  if (napi_get_reference_value(env, owner->records, &array) != napi_ok || array == nullptr ||
      !ReadMemory(env, array, &type, &bytes)) {
    return -EFAULT;
  }
  const std::size_t length = static_cast<std::size_t>(count) * sizeof(kernel::EndedSocket);
  if (bytes.length < length) return -EFAULT;
  std::memcpy(bytes.data, owner->feed.sockets(), length);
  return count;
}

void CallWake(EndedOwner* owner, int result) {
  napi_env env = owner->env;
  napi_value global = nullptr;
  napi_value wake = nullptr;
  napi_value argument = nullptr;
  if (napi_get_global(env, &global) != napi_ok ||
      napi_get_reference_value(env, owner->wake, &wake) != napi_ok || wake == nullptr ||
      napi_create_int32(env, result, &argument) != napi_ok) {
    return;
  }
  if (napi_make_callback(env, nullptr, global, wake, 1, &argument, nullptr) == napi_ok) return;
  // An exception of the callback is one that nobody catches, as that of any callback of Node.
  bool pending = false;
  napi_value error = nullptr;
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending &&
      napi_get_and_clear_last_exception(env, &error) == napi_ok) {
    static_cast<void>(napi_fatal_exception(env, error));
  }
}

void OnBroadcasts(uv_poll_t* handle, int status, int) {
  auto* owner = static_cast<EndedOwner*>(handle->data);
  napi_handle_scope scope = nullptr;
  if (owner->closes || napi_open_handle_scope(owner->env, &scope) != napi_ok) return;
  napi_env env = owner->env;
  int result = owner->feed.Read();
  if (result > 0) result = CopyRecords(owner, result);
  // libuv stops to poll after an error of the descriptor.
  if (status < 0 && result >= 0) {
    const int started = uv_poll_start(handle, UV_READABLE, OnBroadcasts);
    if (started < 0) result = started;
  }
  // The event would come again and again.
  if (result < 0) CloseEnded(owner);
  if (result != 0) CallWake(owner, result);
  static_cast<void>(napi_close_handle_scope(env, scope));
}

// 0 or a negated errno.
int StartEnded(EndedOwner* owner, int receive_buffer_bytes) {
  if (uv_poll_init == nullptr || uv_poll_start == nullptr || uv_unref == nullptr ||
      uv_close == nullptr) {
    return -ENOSYS;
  }
  const int opened = owner->feed.Open(receive_buffer_bytes);
  if (opened < 0) return opened;
  uv_loop_s* loop = nullptr;
  if (napi_get_uv_event_loop(owner->env, &loop) != napi_ok) return -ENOSYS;
  const int initialized = uv_poll_init(loop, &owner->handle, owner->feed.fd());
  if (initialized < 0) return initialized;
  owner->handle.data = owner;
  owner->polls = true;
  uv_unref(reinterpret_cast<uv_handle_t*>(&owner->handle));
  if (napi_add_async_cleanup_hook(owner->env, CloseEndedAtExit, owner, &owner->hook) != napi_ok) {
    owner->hook = nullptr;
    CloseEnded(owner);
    return -ENOMEM;
  }
  const int started = uv_poll_start(&owner->handle, UV_READABLE, OnBroadcasts);
  if (started < 0) CloseEnded(owner);
  return started;
}

// The subscription that an object owns; null for any other object, and once it is closed.
EndedOwner* EndedOwnerIn(const Napi::CallbackInfo& info) {
  auto* owner = static_cast<EndedOwner*>(ReadOwned(info, 0, kEndedTag));
  return owner != nullptr && owner->polls && !owner->closes ? owner : nullptr;
}

}  // namespace

Napi::Value OpenEndedSockets(const Napi::CallbackInfo& info) {
  napi_env env = info.Env();
  Bytes records;
  std::size_t size = 0;
  if (info.Length() < 4 || !IsObject(env, info[0]) || !ReadBytes(info, 1, &records) ||
      records.length < kernel::EndedSockets::kMostAtATime * sizeof(kernel::EndedSocket) ||
      !ReadSize(info, 2, kMostBufferBytes, &size) || !info[3].IsFunction()) {
    return BadArgument(info);
  }
  auto* owner = new (std::nothrow) EndedOwner;
  if (owner == nullptr) return Result(info, -ENOMEM);
  owner->env = env;
  if (napi_create_reference(env, info[1], 1, &owner->records) != napi_ok ||
      napi_create_reference(env, info[3], 1, &owner->wake) != napi_ok ||
      !Own(env, info[0], kEndedTag, owner, FinalizeEnded)) {
    FinalizeEnded(env, owner, nullptr);
    return BadArgument(info);
  }
  return Result(info, StartEnded(owner, static_cast<int>(size)));
}

Napi::Value CloseEndedSockets(const Napi::CallbackInfo& info) {
  EndedOwner* owner = EndedOwnerIn(info);
  if (owner == nullptr) return BadArgument(info);
  CloseEnded(owner);
  // They may refer to the owner, which would then never be collected.
  ReleaseReference(info.Env(), &owner->records);
  ReleaseReference(info.Env(), &owner->wake);
  return Result(info, 0);
}

Napi::Value LostEndedSockets(const Napi::CallbackInfo& info) {
  EndedOwner* owner = EndedOwnerIn(info);
  return owner == nullptr ? BadArgument(info) : Result(info, owner->feed.Lost());
}

}  // namespace socket_tuner::addon

#else

#include "args.h"
#include "exports.h"

namespace socket_tuner::addon {

Napi::Value OpenEndedSockets(const Napi::CallbackInfo& info) { return Result(info, -ENOPROTOOPT); }
Napi::Value CloseEndedSockets(const Napi::CallbackInfo& info) { return Result(info, -ENOPROTOOPT); }
Napi::Value LostEndedSockets(const Napi::CallbackInfo& info) { return Result(info, -ENOPROTOOPT); }

}  // namespace socket_tuner::addon

#endif  // __linux__

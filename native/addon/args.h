// Readers of the arguments of native functions, and makers of their results.
//
// A reader accepts only values that its type can hold. It refuses a fraction, NaN, 2**32 or a value
// of another type, and never rounds, wraps or coerces. It runs no JavaScript (no valueOf, no
// getter), so nothing can change between two readings.
#ifndef SOCKET_TUNER_ADDON_ARGS_H_
#define SOCKET_TUNER_ADDON_ARGS_H_

#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <napi.h>

namespace socket_tuner::addon {

// Reads a whole number from min to max, both included.
inline bool ReadWhole(napi_env env, napi_value value, double min, double max, double* out) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) != napi_ok) return false;
  if (!(number >= min && number <= max) || std::trunc(number) != number) return false;
  *out = number;
  return true;
}

inline bool ReadInt(const Napi::CallbackInfo& info, std::size_t index, int* out) {
  if (index >= info.Length()) return false;
  double number = 0;
  if (!ReadWhole(info.Env(), info[index], INT32_MIN, INT32_MAX, &number)) return false;
  *out = static_cast<int>(number);
  return true;
}

// Reads a descriptor. Refuses negative numbers: -1 must not reach a system call by accident.
inline bool ReadFd(const Napi::CallbackInfo& info, std::size_t index, int* out) {
  return ReadInt(info, index, out) && *out >= 0;
}

inline bool ReadSize(const Napi::CallbackInfo& info, std::size_t index, std::size_t max,
                     std::size_t* out) {
  if (index >= info.Length()) return false;
  double number = 0;
  if (!ReadWhole(info.Env(), info[index], 0, static_cast<double>(max), &number)) return false;
  *out = static_cast<std::size_t>(number);
  return true;
}

struct Bytes {
  uint8_t* data = nullptr;
  std::size_t length = 0;
};

// Reads the type and the memory of a typed array, which is empty if the array is detached.
inline bool ReadMemory(napi_env env, napi_value array, napi_typedarray_type* type, Bytes* out) {
  std::size_t length = 0;
  void* data = nullptr;
  napi_value buffer;
  std::size_t offset = 0;
  if (napi_get_typedarray_info(env, array, type, &length, &data, &buffer, &offset) != napi_ok) {
    return false;
  }
  out->data = static_cast<uint8_t*>(data);
  out->length = data == nullptr ? 0 : length;
  return true;
}

// Reads the memory of a typed array of the type; empty for a detached one. The memory may be a
// SharedArrayBuffer that another thread writes to, so data must be copied before it is checked.
inline bool ReadTypedArray(const Napi::CallbackInfo& info, std::size_t index,
                           napi_typedarray_type type, Bytes* out) {
  if (index >= info.Length()) return false;
  napi_env env = info.Env();
  bool is_typed_array = false;
  if (napi_is_typedarray(env, info[index], &is_typed_array) != napi_ok || !is_typed_array) {
    return false;
  }
  napi_typedarray_type actual;
  return ReadMemory(env, info[index], &actual, out) && actual == type;
}

inline bool ReadBytes(const Napi::CallbackInfo& info, std::size_t index, Bytes* out) {
  return ReadTypedArray(info, index, napi_uint8_array, out);
}

inline bool IsObject(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  return napi_typeof(env, value, &type) == napi_ok && type == napi_object;
}

// Makes a JavaScript object own data. Returns false for an object that owns something already.
inline bool Own(napi_env env, napi_value object, const napi_type_tag& tag, void* data,
                napi_finalize finalize) {
  // Wraps before it tags: an object that another addon has wrapped must not get the tag, or its
  // data would be taken for ours.
  if (napi_wrap(env, object, data, finalize, nullptr, nullptr) != napi_ok) return false;
  if (napi_type_tag_object(env, object, &tag) == napi_ok) return true;
  static_cast<void>(napi_remove_wrap(env, object, &data));
  return false;
}

// Returns the data that a JavaScript object of the tag's kind owns; null for any other object,
// which is never unwrapped.
inline void* ReadOwned(const Napi::CallbackInfo& info, std::size_t index,
                       const napi_type_tag& tag) {
  napi_env env = info.Env();
  bool tagged = false;
  void* data = nullptr;
  if (index >= info.Length() || !IsObject(env, info[index]) ||
      napi_check_object_type_tag(env, info[index], &tag, &tagged) != napi_ok || !tagged ||
      napi_unwrap(env, info[index], &data) != napi_ok) {
    return nullptr;
  }
  return data;
}

// Returns a value, or a negative errno.
template <typename Number>
Napi::Value Result(const Napi::CallbackInfo& info, Number result) {
  return Napi::Number::New(info.Env(), static_cast<double>(result));
}

inline Napi::Value BadArgument(const Napi::CallbackInfo& info) { return Result(info, -EINVAL); }

// Calls a function of the kernel's interface that takes a descriptor.
template <auto Call>
Napi::Value WithFd(const Napi::CallbackInfo& info) {
  int fd = 0;
  return ReadFd(info, 0, &fd) ? Result(info, Call(fd)) : BadArgument(info);
}

}  // namespace socket_tuner::addon

#endif  // SOCKET_TUNER_ADDON_ARGS_H_

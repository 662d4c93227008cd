// Readers for the arguments of a native function, and what it returns.
//
// A reader takes exactly what its type can hold: a fraction, NaN, 2**32 or a value of another
// type is refused, never rounded, wrapped or coerced. It runs no JavaScript (no valueOf, no
// getter), so nothing can change between two readings.
#ifndef SOCKET_TUNER_ADDON_ARGS_H_
#define SOCKET_TUNER_ADDON_ARGS_H_

#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <napi.h>

namespace socket_tuner::addon {

// A whole number between min and max, both included.
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

// A descriptor is never negative: -1 must not reach a system call by accident.
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

// The memory of a typed array of the given type; empty for a detached one. It may lie in a
// SharedArrayBuffer that another thread writes to: what is checked must be copied first.
inline bool ReadTypedArray(const Napi::CallbackInfo& info, std::size_t index,
                           napi_typedarray_type type, Bytes* out) {
  if (index >= info.Length()) return false;
  napi_env env = info.Env();
  bool is_typed_array = false;
  if (napi_is_typedarray(env, info[index], &is_typed_array) != napi_ok || !is_typed_array) {
    return false;
  }
  napi_typedarray_type actual;
  std::size_t length = 0;
  void* data = nullptr;
  napi_value buffer;
  std::size_t offset = 0;
  if (napi_get_typedarray_info(env, info[index], &actual, &length, &data, &buffer, &offset) !=
          napi_ok ||
      actual != type) {
    return false;
  }
  out->data = static_cast<uint8_t*>(data);
  out->length = data == nullptr ? 0 : length;
  return true;
}

inline bool ReadBytes(const Napi::CallbackInfo& info, std::size_t index, Bytes* out) {
  return ReadTypedArray(info, index, napi_uint8_array, out);
}

// A value, or a negative errno.
template <typename Number>
Napi::Value Result(const Napi::CallbackInfo& info, Number result) {
  return Napi::Number::New(info.Env(), static_cast<double>(result));
}

inline Napi::Value BadArgument(const Napi::CallbackInfo& info) { return Result(info, -EINVAL); }

// A call that takes a descriptor.
template <auto Call>
Napi::Value WithFd(const Napi::CallbackInfo& info) {
  int fd = 0;
  return ReadFd(info, 0, &fd) ? Result(info, Call(fd)) : BadArgument(info);
}

}  // namespace socket_tuner::addon

#endif  // SOCKET_TUNER_ADDON_ARGS_H_

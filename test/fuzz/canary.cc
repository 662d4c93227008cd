// An addon with bugs that the sanitizers must detect, which .ci/sanitize checks.
#include <climits>
#include <memory>
#include <napi.h>

namespace {

Napi::Value Leak(const Napi::CallbackInfo& info) {
  [[maybe_unused]] char* volatile lost = new char[100];
  lost = nullptr;
  return info.Env().Undefined();
}

Napi::Value Overflow(const Napi::CallbackInfo& info) {
  const std::unique_ptr<char[]> memory(new char[16]);
  volatile std::size_t behind = 16;
  memory[behind] = 1;
  return info.Env().Undefined();
}

Napi::Value Overrun(const Napi::CallbackInfo& info) {
  volatile int most = INT_MAX;
  return Napi::Number::New(info.Env(), most + 1);
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("leak", Napi::Function::New<Leak>(env, "leak"));
  exports.Set("overflow", Napi::Function::New<Overflow>(env, "overflow"));
  exports.Set("overrun", Napi::Function::New<Overrun>(env, "overrun"));
  return exports;
}

}  // namespace

NODE_API_MODULE(canary, Init)

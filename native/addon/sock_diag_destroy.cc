#ifdef __linux__

#include "../kernel/sock_diag_destroy.h"

#include "exports.h"
#include "worker.h"

#include <utility>

namespace socket_tuner::addon {
namespace {

class DestroyWorker : public Napi::AsyncWorker {
 public:
  DestroyWorker(const Napi::Function& done, Filter filter)
      : Napi::AsyncWorker(done, "socket-tuner sock_diag destroy"), filter_(std::move(filter)) {}

  void Execute() override {
    result_ = kernel::DestroyTimeWait(filter_.bytecode.get(), filter_.length);
  }

  void OnOK() override {
    Callback().Call({Napi::Number::New(Env(), static_cast<double>(result_))});
  }

 private:
  const Filter filter_;
  int64_t result_ = 0;
};

}  // namespace

Napi::Value DestroyTimeWait(const Napi::CallbackInfo& info) {
  if (info.Length() < 2 || !info[1].IsFunction()) return BadArgument(info);
  Filter filter;
  const int error = ReadFilter(info, 0, &filter);
  if (error < 0) return Result(info, error);
  return Start(info,
               new (std::nothrow) DestroyWorker(info[1].As<Napi::Function>(), std::move(filter)));
}

}  // namespace socket_tuner::addon

#else

#include "args.h"
#include "exports.h"

namespace socket_tuner::addon {

Napi::Value DestroyTimeWait(const Napi::CallbackInfo& info) { return Result(info, -ENOPROTOOPT); }

}  // namespace socket_tuner::addon

#endif  // __linux__

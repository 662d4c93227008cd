#ifdef __linux__

#include "../kernel/socket_list.h"

#include "exports.h"
#include "worker.h"

namespace socket_tuner::addon {
namespace {

class ListWorker : public Napi::AsyncWorker {
 public:
  ListWorker(const Napi::Function& done, uint32_t states)
      : Napi::AsyncWorker(done, "socket-tuner socket list"), states_(states) {}

  void Execute() override { error_ = kernel::ListSockets(states_, &list_, &microseconds_); }

  void OnOK() override {
    const Napi::Env env = Env();
    const std::size_t bytes = list_.size() * sizeof(kernel::ListedSocket);
    const kernel::Memory<kernel::ListedSocket> sockets = list_.Release();
    void* memory = nullptr;
    napi_value records = nullptr;
    if (error_ == 0 && (napi_create_arraybuffer(env, bytes, &memory, &records) != napi_ok ||
                        (bytes > 0 && memory == nullptr))) {
      error_ = -ENOMEM;
    }
    if (error_ < 0) {
      Callback().Call({Napi::Number::New(env, error_)});
      return;
    }
    if (bytes > 0) std::memcpy(memory, sockets.get(), bytes);
    Callback().Call({records, Napi::Number::New(env, microseconds_)});
  }

 private:
  const uint32_t states_;
  kernel::SocketList list_{kernel::kMaxListed};
  double microseconds_ = 0;
  int error_ = 0;
};

}  // namespace

Napi::Value ListSockets(const Napi::CallbackInfo& info) {
  int states = 0;
  if (!ReadInt(info, 0, &states) || info.Length() < 2 || !info[1].IsFunction()) {
    return BadArgument(info);
  }
  return Start(info, new (std::nothrow)
                         ListWorker(info[1].As<Napi::Function>(), static_cast<uint32_t>(states)));
}

}  // namespace socket_tuner::addon

#else

#include "args.h"
#include "exports.h"

namespace socket_tuner::addon {

Napi::Value ListSockets(const Napi::CallbackInfo& info) { return Result(info, -ENOPROTOOPT); }

}  // namespace socket_tuner::addon

#endif  // __linux__

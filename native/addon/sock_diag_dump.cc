#ifdef __linux__

#include "../kernel/sock_diag_dump.h"

#include "exports.h"
#include "worker.h"

#include <cstdlib>
#include <utility>

namespace socket_tuner::addon {
namespace {

void FreeRecords(napi_env, void* memory, void*) { std::free(memory); }

// Returns the groups as an ArrayBuffer. Does not copy them where the embedder allows that: copying
// ten megabytes would block the event loop. Returns 0 or a negated errno.
int RecordsOf(napi_env env, kernel::GroupTable* table, napi_value* records) {
  const std::size_t bytes = table->size() * sizeof(kernel::SocketGroup);
  kernel::Memory<kernel::SocketGroup> groups = table->Release();
  if (bytes > 0) {
    const napi_status status =
        napi_create_external_arraybuffer(env, groups.get(), bytes, FreeRecords, nullptr, records);
    if (status == napi_ok) {
      groups.release();
      return 0;
    }
    if (status != napi_no_external_buffers_allowed) return -ENOMEM;
  }
  void* memory = nullptr;
  if (napi_create_arraybuffer(env, bytes, &memory, records) != napi_ok ||
      (bytes > 0 && memory == nullptr)) {
    return -ENOMEM;
  }
  if (bytes > 0) std::memcpy(memory, groups.get(), bytes);
  return 0;
}

class DumpWorker : public Napi::AsyncWorker {
 public:
  DumpWorker(const Napi::Function& done, uint32_t states, int families, uint32_t group_by,
             Filter filter)
      : Napi::AsyncWorker(done, "socket-tuner sock_diag"),
        families_(families),
        states_(states),
        group_by_(group_by),
        filter_(std::move(filter)) {}

  void Execute() override {
    const kernel::SocketChoice choice = {states_, filter_.bytecode.get(), filter_.length};
    error_ = kernel::CountSockets(families_, choice, group_by_, &census_);
  }

  void OnOK() override {
    const Napi::Env env = Env();
    napi_value records = nullptr;
    if (error_ == 0) error_ = RecordsOf(env, &census_.dump->table(), &records);
    if (error_ < 0) {
      Callback().Call({Napi::Number::New(env, error_)});
      return;
    }
    Callback().Call({Napi::Number::New(env, static_cast<double>(census_.dump->total())), records,
                     Napi::Boolean::New(env, census_.dump->interrupted()),
                     Napi::Number::New(env, census_.microseconds)});
  }

 private:
  const int families_;
  const uint32_t states_;
  const uint32_t group_by_;
  const Filter filter_;
  kernel::Census census_;
  int error_ = 0;
};

}  // namespace

Napi::Value DumpSockets(const Napi::CallbackInfo& info) {
  int families = 0;
  int states = 0;
  int group_by = 0;
  if (!ReadInt(info, 0, &families) || families < kernel::kIpv4 ||
      families > (kernel::kIpv4 | kernel::kIpv6) || !ReadInt(info, 1, &states) ||
      !ReadInt(info, 2, &group_by) || info.Length() < 5 || !info[4].IsFunction()) {
    return BadArgument(info);
  }
  Filter filter;
  const int error = ReadFilter(info, 3, &filter);
  if (error < 0) return Result(info, error);
  return Start(info, new (std::nothrow)
                         DumpWorker(info[4].As<Napi::Function>(), static_cast<uint32_t>(states),
                                    families, static_cast<uint32_t>(group_by), std::move(filter)));
}

}  // namespace socket_tuner::addon

#else

#include "args.h"
#include "exports.h"

namespace socket_tuner::addon {

Napi::Value DumpSockets(const Napi::CallbackInfo& info) { return Result(info, -ENOPROTOOPT); }

}  // namespace socket_tuner::addon

#endif  // __linux__

#include "sock_diag.h"

#include "args.h"
#include "../kernel/sock_diag_destroy.h"
#include "../kernel/sock_diag_dump.h"

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <new>
#include <sys/socket.h>
#include <utility>

namespace socket_tuner {
namespace {

#ifdef __linux__

// More than so many are not worth a table: ten times what a machine has ports for one destination.
constexpr std::size_t kMaxGroups = std::size_t{1} << 20;
constexpr std::size_t kMaxFilterBytes = 65535 - 4;
// A table that changes under the dump is dumped again.
constexpr int kTries = 3;

enum Families : int { kIpv4 = 1, kIpv6 = 2 };

struct Filter {
  std::unique_ptr<uint8_t[]> bytecode;
  std::size_t length = 0;
};

// A copy, since a thread reads it: 0 or a positive errno.
int ReadFilter(const Napi::CallbackInfo& info, std::size_t index, Filter* filter) {
  Bytes bytes;
  if (!ReadBytes(info, index, &bytes) || bytes.length > kMaxFilterBytes) return EINVAL;
  filter->bytecode.reset(new (std::nothrow) uint8_t[bytes.length + 1]);
  if (!filter->bytecode) return ENOMEM;
  if (bytes.length > 0) std::memcpy(filter->bytecode.get(), bytes.data, bytes.length);
  filter->length = bytes.length;
  return 0;
}

// 0 when it is under way, or -errno.
Napi::Value Start(const Napi::CallbackInfo& info, Napi::AsyncWorker* worker) {
  if (worker == nullptr) return Failure(info, ENOMEM);
  worker->Queue();
  return Napi::Number::New(info.Env(), 0);
}

void FreeRecords(napi_env, void* memory, void*) { std::free(memory); }

// The groups as an ArrayBuffer, not copied where the embedder allows that: ten megabytes would hold the
// event loop. 0 or a negated errno.
int RecordsOf(napi_env env, GroupTable* table, napi_value* records) {
  const std::size_t bytes = table->size() * sizeof(SocketGroup);
  Memory<SocketGroup> groups = table->Release();
  if (bytes > 0) {
    const napi_status status = napi_create_external_arraybuffer(env, groups.get(), bytes,
                                                                FreeRecords, nullptr, records);
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

// Time that this thread has had a processor; 0 where it cannot be told.
double ThreadMicroseconds() {
  timespec time{};
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
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
    const double begun = ThreadMicroseconds();
    for (int tries = 0; tries < kTries; tries++) {
      // The memory of the last one first.
      dump_.reset();
      dump_.reset(new (std::nothrow) SocketDump(group_by_, kMaxGroups));
      error_ = dump_ ? Dump() : -ENOMEM;
      if (error_ < 0 || !dump_->interrupted()) break;
    }
    if (error_ == 0) error_ = dump_->Sort();
    microseconds_ = ThreadMicroseconds() - begun;
  }

  void OnOK() override {
    const Napi::Env env = Env();
    if (error_ < 0) {
      Callback().Call({Napi::Number::New(env, error_)});
      return;
    }
    napi_value records = nullptr;
    const int error = RecordsOf(env, &dump_->table(), &records);
    if (error < 0) {
      Callback().Call({Napi::Number::New(env, error)});
      return;
    }
    Callback().Call({Napi::Number::New(env, static_cast<double>(dump_->total())), records,
                     Napi::Boolean::New(env, dump_->interrupted()),
                     Napi::Number::New(env, microseconds_)});
  }

 private:
  int Dump() {
    const SocketChoice choice = {states_, filter_.bytecode.get(), filter_.length};
    if (families_ & kIpv4) {
      const int error = DumpSockets(AF_INET, choice, dump_.get());
      if (error < 0) return error;
    }
    if (families_ & kIpv6) {
      const int error = DumpSockets(AF_INET6, choice, dump_.get());
      // A kernel without IPv6 has no such sockets.
      if (error < 0 && !(error == -ENOENT && (families_ & kIpv4))) return error;
    }
    return 0;
  }

  const int families_;
  const uint32_t states_;
  const uint32_t group_by_;
  const Filter filter_;
  std::unique_ptr<SocketDump> dump_;
  int error_ = 0;
  double microseconds_ = 0;
};

class DestroyWorker : public Napi::AsyncWorker {
 public:
  DestroyWorker(const Napi::Function& done, Filter filter)
      : Napi::AsyncWorker(done, "socket-tuner sock_diag destroy"), filter_(std::move(filter)) {}

  void Execute() override {
    error_ = MayDestroy();
    if (error_ == 0) error_ = DestroyTimeWait(filter_.bytecode.get(), filter_.length, &removed_);
  }

  void OnOK() override {
    const double result = error_ < 0 ? error_ : static_cast<double>(removed_);
    Callback().Call({Napi::Number::New(Env(), result)});
  }

 private:
  const Filter filter_;
  std::size_t removed_ = 0;
  int error_ = 0;
};

#endif

// dumpSockets(families, states, groupBy, filter, done): 0 when it is under way, or -errno. `families`
// has 1 for IPv4 and 2 for IPv6. `done` is called later with (-errno), or with
// (sockets, records, interrupted, microseconds of processor time).
Napi::Value DumpSocketsOf(const Napi::CallbackInfo& info) {
#ifdef __linux__
  int families = 0;
  int states = 0;
  int group_by = 0;
  if (!ReadInt(info, 0, &families) || families < kIpv4 || families > (kIpv4 | kIpv6) ||
      !ReadInt(info, 1, &states) || !ReadInt(info, 2, &group_by) || info.Length() < 5 ||
      !info[4].IsFunction()) {
    return BadArgument(info);
  }
  Filter filter;
  const int error = ReadFilter(info, 3, &filter);
  if (error != 0) return Failure(info, error);
  return Start(info, new (std::nothrow) DumpWorker(
                         info[4].As<Napi::Function>(), static_cast<uint32_t>(states), families,
                         static_cast<uint32_t>(group_by), std::move(filter)));
#else
  return Failure(info, ENOPROTOOPT);
#endif
}

// destroyTimeWait(filter, done): 0 when it is under way, or -errno. `done` is called later with the
// number that was removed, or -errno.
Napi::Value DestroyTimeWaits(const Napi::CallbackInfo& info) {
#ifdef __linux__
  if (info.Length() < 2 || !info[1].IsFunction()) return BadArgument(info);
  Filter filter;
  const int error = ReadFilter(info, 0, &filter);
  if (error != 0) return Failure(info, error);
  return Start(info, new (std::nothrow)
                         DestroyWorker(info[1].As<Napi::Function>(), std::move(filter)));
#else
  return Failure(info, ENOPROTOOPT);
#endif
}

}  // namespace

void ExportSockDiag(Napi::Env env, Napi::Object exports) {
  exports.Set("dumpSockets", Napi::Function::New<DumpSocketsOf>(env, "dumpSockets"));
  exports.Set("destroyTimeWait", Napi::Function::New<DestroyTimeWaits>(env, "destroyTimeWait"));
}

}  // namespace socket_tuner

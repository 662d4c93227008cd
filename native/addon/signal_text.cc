// A signal that ends the process runs no JavaScript, and a listener for it in JavaScript would change what
// it does: a process that is busy would not end any more. So the text is kept here, and an action of the
// signal writes it, puts the former action back and raises the signal again.
//
// The action of a signal is the process's own, and so is what is kept here: it is the only state of this
// addon that all threads share.
#include "signal_text.h"

#include "args.h"

#include <atomic>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <unistd.h>

namespace socket_tuner {
namespace {

// What a pipe that is ready takes without blocking (PIPE_BUF of Linux).
constexpr size_t kLongest = 4096;

struct Text {
  size_t length;
  char bytes[kLongest];
};

// One that is published and one to write the next into.
Text texts[2];
std::atomic<const Text*> published{nullptr};

struct Action {
  int signal;
  struct sigaction former;
};

Action actions[] = {{SIGTERM, {}}, {SIGINT, {}}, {SIGHUP, {}}};

Action* ActionOf(int signal) {
  for (Action& action : actions) {
    if (action.signal == signal) return &action;
  }
  return nullptr;
}

// All of it async-signal-safe (signal-safety(7)).
extern "C" void WriteAndPass(int signal) {
  const int error = errno;
  const Text* text = published.exchange(nullptr);
  pollfd standard_error = {STDERR_FILENO, POLLOUT, 0};
  // Nobody may read it: the process is to end all the same.
  if (text != nullptr && poll(&standard_error, 1, 0) == 1 &&
      (standard_error.revents & (POLLOUT | POLLNVAL)) != 0) {
    const ssize_t written = write(STDERR_FILENO, text->bytes, text->length);
    static_cast<void>(written);
  }
  const Action* action = ActionOf(signal);
  if (action != nullptr) sigaction(signal, &action->former, nullptr);
  // It is blocked until this returns.
  static_cast<void>(raise(signal));
  errno = error;
}

// setSignalText(text): 0, or -EINVAL when it is too long. An empty one writes nothing.
Napi::Value SetSignalText(const Napi::CallbackInfo& info) {
  Bytes text;
  if (!ReadBytes(info, 0, &text) || text.length > kLongest) return BadArgument(info);
  Text* next = published.load() == &texts[0] ? &texts[1] : &texts[0];
  if (text.length > 0) std::memcpy(next->bytes, text.data, text.length);
  next->length = text.length;
  published.store(text.length > 0 ? next : nullptr);
  return Napi::Number::New(info.Env(), 0);
}

// writeOnSignal(signal): 1 when SIGTERM, SIGINT or SIGHUP writes the text from now on, 0 when it is left
// alone since it does not end the process, or -errno
Napi::Value WriteOnSignal(const Napi::CallbackInfo& info) {
  int signal = 0;
  if (!ReadInt(info, 0, &signal)) return BadArgument(info);
  Action* action = ActionOf(signal);
  if (action == nullptr) return BadArgument(info);
  struct sigaction present {};
  if (sigaction(signal, nullptr, &present) != 0) return Failure(info, errno);
  const bool is_own = (present.sa_flags & SA_SIGINFO) == 0 && present.sa_handler == WriteAndPass;
  if (is_own) return Napi::Number::New(info.Env(), 1);
  const bool is_default = (present.sa_flags & SA_SIGINFO) == 0 && present.sa_handler == SIG_DFL;
  // Node's own resets the terminal and raises the signal again. Any other belongs to somebody who listens,
  // and the first process of a container is not ended by a signal that nobody listens for.
  const bool ends = is_default || (present.sa_flags & static_cast<int>(SA_RESETHAND)) != 0;
  if (!ends || getpid() == 1) return Napi::Number::New(info.Env(), 0);
  struct sigaction own {};
  own.sa_handler = WriteAndPass;
  sigfillset(&own.sa_mask);
  action->former = present;
  if (sigaction(signal, &own, nullptr) != 0) return Failure(info, errno);
  return Napi::Number::New(info.Env(), 1);
}

}  // namespace

void ExportSignalText(Napi::Env env, Napi::Object exports) {
  exports.Set("setSignalText", Napi::Function::New<SetSignalText>(env, "setSignalText"));
  exports.Set("writeOnSignal", Napi::Function::New<WriteOnSignal>(env, "writeOnSignal"));
}

}  // namespace socket_tuner

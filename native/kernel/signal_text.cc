#include "signal_text.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <unistd.h>

namespace socket_tuner::kernel {
namespace {

// The most that a writable pipe accepts without blocking (PIPE_BUF of Linux, pipe(7)).
constexpr size_t kLongest = 4096;

struct Text {
  size_t length;
  char bytes[kLongest];
};

// The published text, and one for the next text.
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

// The signal handler. It calls async-signal-safe functions only (signal-safety(7)).
extern "C" void WriteAndPass(int signal) {
  const int error = errno;
  const Text* text = published.exchange(nullptr);
  pollfd standard_error = {STDERR_FILENO, POLLOUT, 0};
  // If nobody reads the pipe, the process ends without the text.
  if (text != nullptr && poll(&standard_error, 1, 0) == 1 &&
      (standard_error.revents & (POLLOUT | POLLNVAL)) != 0) {
    const ssize_t written = write(STDERR_FILENO, text->bytes, text->length);
    static_cast<void>(written);
  }
  const Action* action = ActionOf(signal);
  if (action != nullptr) sigaction(signal, &action->former, nullptr);
  // The signal is blocked until this handler returns.
  static_cast<void>(raise(signal));
  errno = error;
}

}  // namespace

int SetSignalText(const uint8_t* text, size_t length) {
  if (length > kLongest) return -EINVAL;
  Text* next = published.load() == &texts[0] ? &texts[1] : &texts[0];
  if (length > 0) std::memcpy(next->bytes, text, length);
  next->length = length;
  published.store(length > 0 ? next : nullptr);
  return 0;
}

int WriteOnSignal(int signal) {
  Action* action = ActionOf(signal);
  if (action == nullptr) return -EINVAL;
  struct sigaction present {};
  if (sigaction(signal, nullptr, &present) != 0) return -errno;
  const bool is_own = (present.sa_flags & SA_SIGINFO) == 0 && present.sa_handler == WriteAndPass;
  if (is_own) return 1;
  const bool is_default = (present.sa_flags & SA_SIGINFO) == 0 && present.sa_handler == SIG_DFL;
  // Node's own action (SA_RESETHAND) resets the terminal and raises the signal again. Any other one
  // belongs to a listener. Process 1 of a container does not end by a signal without a listener.
  const bool ends = is_default || (present.sa_flags & static_cast<int>(SA_RESETHAND)) != 0;
  if (!ends || getpid() == 1) return 0;
  struct sigaction own {};
  own.sa_handler = WriteAndPass;
  sigfillset(&own.sa_mask);
  action->former = present;
  return sigaction(signal, &own, nullptr) == 0 ? 1 : -errno;
}

}  // namespace socket_tuner::kernel

// A text that a signal writes to standard error before it ends the process.
//
// A signal that ends the process runs no JavaScript. A listener in JavaScript would change its
// effect: a busy process would not end. So the text is kept here, and a signal handler writes it,
// restores the former action and raises the signal again.
//
// All threads of a process share the actions of signals, and so the text too. It is the only shared
// state of this addon.
#ifndef SOCKET_TUNER_KERNEL_SIGNAL_TEXT_H_
#define SOCKET_TUNER_KERNEL_SIGNAL_TEXT_H_

#include <cstddef>
#include <cstdint>

namespace socket_tuner::kernel {

// Sets the text. Returns 0, or -EINVAL if it is longer than 4,096 bytes. With an empty text,
// nothing is written.
int SetSignalText(const uint8_t* text, size_t length);

// Makes SIGTERM, SIGINT or SIGHUP write the text. Returns 1, or 0 if the signal is left unchanged
// because it does not end the process, or a negated errno: -EINVAL for any other signal.
int WriteOnSignal(int signal);

}  // namespace socket_tuner::kernel

#endif  // SOCKET_TUNER_KERNEL_SIGNAL_TEXT_H_

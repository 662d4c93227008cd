// A text that a signal writes to standard error on its way to ending the process.
//
// A signal that ends the process runs no JavaScript, and a listener for it in JavaScript would
// change what it does: a process that is busy would not end any more. So the text is kept here, and
// an action of the signal writes it, puts the former action back and raises the signal again.
//
// The action of a signal is the process's own, and so is what is kept here: it is the only state of
// this addon that all threads share.
#ifndef SOCKET_TUNER_KERNEL_SIGNAL_TEXT_H_
#define SOCKET_TUNER_KERNEL_SIGNAL_TEXT_H_

#include <cstddef>
#include <cstdint>

namespace socket_tuner::kernel {

// Sets the text: 0, or -EINVAL when it is longer than 4,096 bytes. An empty one writes nothing.
int SetSignalText(const uint8_t* text, size_t length);

// 1 when SIGTERM, SIGINT or SIGHUP writes the text from now on, 0 when it is left alone since it
// does not end the process, or a negated errno: -EINVAL for any other signal.
int WriteOnSignal(int signal);

}  // namespace socket_tuner::kernel

#endif  // SOCKET_TUNER_KERNEL_SIGNAL_TEXT_H_

// A text that a signal writes to standard error on its way to ending the process.
#ifndef SOCKET_TUNER_ADDON_SIGNAL_TEXT_H_
#define SOCKET_TUNER_ADDON_SIGNAL_TEXT_H_

#include <napi.h>

namespace socket_tuner {

void ExportSignalText(Napi::Env env, Napi::Object exports);

}  // namespace socket_tuner

#endif  // SOCKET_TUNER_ADDON_SIGNAL_TEXT_H_

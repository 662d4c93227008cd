#include "exports.h"

namespace socket_tuner::addon {
namespace {

struct Export {
  const char* name;
  Napi::Function (*make)(Napi::Env env, const char* name);
};

template <Napi::Value (*Call)(const Napi::CallbackInfo&)>
Napi::Function Make(Napi::Env env, const char* name) {
  return Napi::Function::New<Call>(env, name);
}

constexpr Export kExports[] = {
    {"getInt", Make<GetInt>},
    {"setInt", Make<SetInt>},
    {"getBytes", Make<GetBytes>},
    {"setBytes", Make<SetBytes>},
    {"setProgram", Make<SetProgram>},
    {"tcpInfo", Make<TcpInfo>},
    {"applyBatch", Make<ApplyBatch>},
    {"openSocket", Make<OpenSocket>},
    {"closeFd", Make<CloseFd>},
    {"duplicateFd", Make<DuplicateFd>},
    {"descriptorLimit", Make<DescriptorLimit>},
    {"bindFd", Make<BindFd>},
    {"connectFd", Make<ConnectFd>},
    {"listenFd", Make<ListenFd>},
    {"shutdownWrite", Make<ShutdownWrite>},
    {"localPort", Make<LocalPort>},
    {"localAddress", Make<LocalAddress>},
    {"localPath", Make<LocalPath>},
    {"unreadBytes", Make<UnreadBytes>},
    {"unacknowledgedBytes", Make<UnacknowledgedBytes>},
    {"unsentBytes", Make<UnsentBytes>},
    {"discardInput", Make<DiscardInput>},
    {"ownFd", Make<OwnFd>},
    {"disownFd", Make<DisownFd>},
    {"openPoller", Make<OpenPoller>},
    {"closePoller", Make<ClosePoller>},
    {"watchFd", Make<WatchFd>},
    {"unwatchSlot", Make<UnwatchSlot>},
    {"writeToSlot", Make<WriteToSlot>},
    {"queuedInSlot", Make<QueuedInSlot>},
    {"dumpSockets", Make<DumpSockets>},
    {"listSockets", Make<ListSockets>},
    {"openEndedSockets", Make<OpenEndedSockets>},
    {"closeEndedSockets", Make<CloseEndedSockets>},
    {"lostEndedSockets", Make<LostEndedSockets>},
    {"destroyTimeWait", Make<DestroyTimeWait>},
    {"setSignalText", Make<SetSignalText>},
    {"writeOnSignal", Make<WriteOnSignal>},
};

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("constants", Constants(env));
  for (const Export& each : kExports) exports.Set(each.name, each.make(env, each.name));
  return exports;
}

}  // namespace

NODE_API_MODULE(socket_tuner, Init)

}  // namespace socket_tuner::addon

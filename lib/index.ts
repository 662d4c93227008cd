export { closeSocket, type CloseSocketOptions } from './close/close-socket'
export type { Close, CloseOptions } from './close/close-options'
export { fallbackCodes, type Fallback, type FallbackCode } from './close/fallback'
export {
  closeModeNames,
  describeCloseMode,
  type CloseModeInfo,
  type CloseModeName,
} from './close/modes'
export type { CloseReport } from './close/close-report'
export { getCloseMode, setCloseMode } from './close/set-close-mode'
export type { CloseCounters } from './close/server-policy'
export { closeTotals, type CloseTotals } from './close/tally'
export type { TimeWait } from './close/time-wait'
export { connect, type ConnectOptions } from './connect/connect'
export { Connector } from './connect/connector'
export { prepareSocket, type PrepareSocketOptions } from './connect/prepare-socket'
export { RawSocket } from './connect/raw-socket'
export type {
  BindOptions,
  ListenOnOptions,
  RawConnectOptions,
  RawSocketOptions,
} from './connect/raw-socket-options'
export type { Source } from './connect/source'
export { SourcePool, type SourceUsage } from './connect/source-pool'
export type { TuningOptions } from './connect/tuning'
export {
  ArgumentRangeError,
  ArgumentTypeError,
  ArgumentValueError,
  SocketOptionError,
  SocketTunerError,
  type ErrnoCode,
  type ErrorCode,
  type SocketTunerErrorCode,
} from './errors'
export { answerEarly, type EarlyAnswer, type EarlyAnswerReport } from './server/answer-early'
export type { RetirementReason } from './server/life'
export { listen, type ListenOptions } from './server/listen'
export type { ShutdownOptions, ShutdownReport } from './server/shutdown'
export {
  tuneServer,
  type ServerCounters,
  type ServerTuning,
  type TuneServerOptions,
} from './server/tune-server'
export { explainConnection, type ExplainOptions } from './observe/explain-connection'
export type {
  Explanation,
  NetworkSymptom,
  ReceivingLimit,
  SendingLimit,
  SendingShares,
} from './observe/explanation'
export { queueSizes, type QueueSizes } from './observe/queue-sizes'
export {
  tcpInfo,
  type CongestionState,
  type NegotiatedOptions,
  type TcpInfo,
} from './observe/tcp-info'
export type { TcpState } from './kernel/tcp-states'
export { getOption, setOption } from './options/access'
export { deadPeerDetection, type DeadPeerSettings } from './options/dead-peer'
export { describeOption, type OptionInfo } from './options/describe'
export type { OptionKind } from './options/kinds'
export type { BpfInstruction } from './options/kinds/bpf-program'
export type { Linger, LingerInput } from './options/kinds/linger'
export type { Md5Key } from './options/kinds/md5-key'
export type { MemoryInfo } from './options/kinds/memory-info'
export type { Credentials, SocketAddress } from './options/kinds/peer-info'
export type { PortRange } from './options/kinds/port-range'
export type { TransmitTime } from './options/kinds/times'
export {
  optionNames,
  type OptionInput,
  type OptionName,
  type OptionValue,
  type ReadableOption,
  type Settings,
  type WritableOption,
} from './options/option'
export { profiles } from './options/profiles'
export type { OptionAccess, OptionLevel, OptionTiming, OptionUnit } from './options/row'
export { tune, type OptionOutcome, type TuneReport } from './options/tune'
export type { DescriptorOwner, Target } from './target'
export {
  configure,
  type Configuration,
  type SocketTunerWarning,
  type WarningCode,
} from './warnings'

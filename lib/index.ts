export {
  ArgumentRangeError,
  ArgumentTypeError,
  ArgumentValueError,
  SocketOptionError,
  type SocketOptionErrorFields,
  type SocketTunerErrorCode,
} from './errors'
export type { DescriptorOwner, Target } from './target'
export {
  configure,
  type Configuration,
  type SocketTunerWarning,
  type WarningCode,
} from './warnings'

/** The entry `socket-tuner/prefork`: several processes on one port. */
export { prefork } from './prefork'
export type { PreforkCounters, PreforkGroup } from './group'
export type { Steering } from './messages'
export type { PreforkOptions } from './prefork-options'
export type { PreforkWorker, Serve } from './worker'

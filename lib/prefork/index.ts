/** Several processes on one port: the entry `socket-tuner/prefork`. */
export { prefork } from './prefork'
export type { PreforkCounters, PreforkGroup } from './group'
export type { PreforkOptions, Serve, Steering } from './options'
export type { PreforkWorker } from './worker'

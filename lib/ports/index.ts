/** The entry `socket-tuner/ports`: the ephemeral ports and TIME_WAIT entries of this network namespace. */
export {
  portBudget,
  type DestinationBudget,
  type PortBudget,
  type PortBudgetOptions,
} from './budget'
export {
  countSockets,
  type CountSocketsOptions,
  type SocketCounts,
  type SocketGroup,
} from './count-sockets'
export { destroyTimeWait, type DelayedSegmentsAccepted } from './destroy-time-wait'
export type { SocketFilter } from './filter'
export type { Destination } from './place'
export type { PortReport, PortTrouble } from './port-report'
export type { TimeWaitReuse } from './time-wait-reuse'
export { timeWaitCount } from './time-wait-count'
export { portWaitTotals, type PortWaitTotals } from '../connect/port-queue'
export { watchPorts, type PortWatch, type PortWatchEnded } from './watch'
export type { PortAlarm, WatchPortsOptions } from './watch-options'
export type { SocketField } from '../kernel/sock-diag'
export { watchConnections, type ConnectionCounts, type ConnectionWatch } from './watch-connections'
export type { WatchConnectionsOptions } from './connection-watch-options'
export type { EndKind, EndedConnection, Lifetime } from './ended-connection'

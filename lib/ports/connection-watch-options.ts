/** The options of watchConnections(). */
import { abortSignal, bag, boolean, fn, spec, whole, type InputOf, type OutputOf } from '../spec'
import type { EndedConnection } from './ended-connection'
import { socketFilter } from './filter'

const MIN_INTERVAL_MS = 10
const MAX_INTERVAL_MS = 3_600_000
const MIN_BUFFER_BYTES = 4_096
const MAX_BUFFER_BYTES = 2 ** 28

export const watchConnectionsOptions = spec({
  /** Reports only connections that match. Default: all. */
  filter: bag(socketFilter).default({
    localAddress: undefined,
    localPort: undefined,
    remoteAddress: undefined,
    remotePort: undefined,
    localPortRange: undefined,
  }),
  /** Called with each connection as soon as it is reported. Its exceptions are not caught. */
  onConnection: fn<(connection: EndedConnection) => void>(),
  /**
   * Looks at the living sockets, for processes, users and longest possible lifetimes. Default true. Without it, only
   * what the kernel reports at the end is known.
   */
  looks: boolean().default(true),
  /** The time between two looks, ms. Default 1,000. Longer where there are very many sockets. */
  intervalMs: whole(MIN_INTERVAL_MS, MAX_INTERVAL_MS).default(1_000),
  /**
   * The memory in which the kernel keeps reports until the event loop reads them, bytes. Default 8 MiB. Without
   * CAP_NET_ADMIN, at most net.core.rmem_max. A report takes about 1 KiB of it.
   */
  receiveBufferBytes: whole(MIN_BUFFER_BYTES, MAX_BUFFER_BYTES).default(8 * 2 ** 20),
  /** Connections that a loop has not taken yet. More are skipped for this loop, and counted. Default 65,536. */
  backlog: whole(1, 2 ** 24).default(65_536),
  /** Stops the watch. */
  signal: abortSignal,
})

export type WatchConnectionsOptions = Readonly<InputOf<typeof watchConnectionsOptions>>

export type CheckedConnectionWatch = OutputOf<typeof watchConnectionsOptions>

/** What node:cluster does with the handles of servers while it schedules connections round-robin. */
import type * as net from 'node:net'
import { handleOf } from './handle'

/** Whether the server of a worker has its listening socket in the primary process: its handle is a stand-in. */
export function isInPrimary(server: net.Server): boolean {
  const handle = handleOf(server)
  return handle !== undefined && handle.fd === undefined
}

/**
 * Has `action` called with the descriptor, if the server is the one by which cluster listens in the
 * primary process. Cluster takes its handle away in 'listening': to be called no later than that.
 */
export function whenTakenByCluster(server: net.Server, action: (fd: number) => void): void {
  const handle = handleOf(server)
  process.nextTick(() => {
    const { fd = -1 } = handle ?? {}
    if (fd >= 0 && handleOf(server) !== handle) action(fd)
  })
}

/** How node:cluster treats the handles of servers under round-robin scheduling. */
import type * as net from 'node:net'
import { handleOf } from './handle'

/** Whether the listening socket of a worker's server is in the primary process. Its handle is a stand-in without `fd`. */
export function isInPrimary(server: net.Server): boolean {
  const handle = handleOf(server)
  return handle !== undefined && handle.fd === undefined
}

/**
 * Calls `action` with the descriptor if node:cluster uses this server to listen in the primary process. Must be
 * called before or in 'listening', in which node:cluster takes the handle away.
 */
export function whenTakenByCluster(server: net.Server, action: (fd: number) => void): void {
  const handle = handleOf(server)
  process.nextTick(() => {
    const { fd = -1 } = handle ?? {}
    if (fd >= 0 && handleOf(server) !== handle) action(fd)
  })
}

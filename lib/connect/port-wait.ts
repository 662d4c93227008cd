/** Lets a connection without a free port wait in the queue of all connections that need such a port. */
import type * as net from 'node:net'
import { handleOf } from '../node/handle'
import type { ConnectRequest, TcpHandle } from '../node/tcp-handle'
import type { IpFamily } from './address'
import { NO_PORT_FREE, hasSourceFor } from './exhaustion'
import { openPortQueue, portQueueFor, type Waiter } from './port-queue'
import { destinationKey } from './source-pool'

/** The option `portWaitMs`, prepared. */
export interface PortWait {
  readonly ms: number
  /** Names the source and the port range, which are the same for all connections of a queue. */
  readonly space: string
}

/** The ports that a connection can use. */
export interface Ports {
  readonly family: IpFamily
  readonly address: string
  readonly port: number
  /** The caller's `localAddress`, or the source if it is a single address. */
  readonly localAddress: string | undefined
  readonly wait: PortWait
}

const kWaitedMs = Symbol('socket-tuner wait for a port')

interface Waited {
  [kWaitedMs]?: number
}

/** Returns how long the last connect() of a socket waited for a port, ms. */
export function portWaitOf(socket: object): number {
  return (socket as Waited)[kWaitedMs] ?? 0
}

/** A call of connect() that can wait. */
interface PatientCall {
  readonly socket: net.Socket & Waited
  readonly handle: TcpHandle
  readonly request: ConnectRequest
  /** Tries all ports. @returns 0, or the negated errno */
  readonly tryPorts: () => number
  /** Called right before the connection fails because it waited for `portWaitMs`. */
  readonly expired: (waitedMs: number) => void
}

/** Makes the queue try again when the connection has ended. */
export function announceRelease(socket: net.Socket, ports: Ports): void {
  const key = keyOf(ports)
  socket.once('close', () => portQueueFor(key)?.released())
}

/**
 * Tries all ports, unless other connections are waiting. If no port is free, the connection joins the queue: for
 * Node its connect() is in progress, and ends as if libuv had completed it.
 *
 * @returns 0, or the negated errno
 */
export function tryOrWait(ports: Ports, call: PatientCall): number {
  const key = keyOf(ports)
  // Of an earlier connect().
  if (call.socket[kWaitedMs] !== undefined) call.socket[kWaitedMs] = 0
  if (portQueueFor(key) === undefined) {
    const result = call.tryPorts()
    if (result !== NO_PORT_FREE || !hasSourceFor(ports)) return result
  }
  wait(key, ports.wait, call)
  return 0
}

function wait(
  key: string,
  { ms }: PortWait,
  { socket, handle, request, tryPorts, expired }: PatientCall,
): void {
  const queue = openPortQueue(key)
  const sinceMs = performance.now()
  const fail = (status: number): void => {
    request.oncomplete(status, handle, request, true, true)
  }
  const abandon = (): void => {
    queue.abandon(waiter)
  }
  const waiter: Waiter = {
    tryAgain: () => {
      // The socket was destroyed and has not emitted 'close' yet.
      if (handleOf(socket) !== handle) {
        abandon()
        return true
      }
      let result: number
      try {
        result = tryPorts()
      } catch (error) {
        socket.destroy(error as Error)
        return true
      }
      if (result >= 0) socket[kWaitedMs] = performance.now() - sinceMs
      else if (result !== NO_PORT_FREE) fail(result)
      return result !== NO_PORT_FREE
    },
    expire: () => {
      expired(ms)
      fail(NO_PORT_FREE)
    },
    ended: () => {
      socket.off('close', abandon)
    },
  }
  socket.once('close', abandon)
  queue.add(waiter, ms)
}

/** Connections with equal keys compete for the same ports. */
function keyOf({ address, port, localAddress = '', wait: { space } }: Ports): string {
  return `${destinationKey(address, port)} ${localAddress} ${space}`
}

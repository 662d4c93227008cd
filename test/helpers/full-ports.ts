/** Source addresses whose ports are all in use, so that connections wait for a port. */
import type * as net from 'node:net'
import { connect } from '../../lib'
import { systemPortRange } from '../../lib/kernel/proc'
import { portWaitTotals } from '../../lib/ports'
import { destroyLater } from '../sockets'
import { until } from './until'

const COUNT = 8

/** Eight ports. Other programs may use some of them. */
export function narrowRange(): { min: number; max: number } {
  const { min, max } = systemPortRange() ?? { min: 32_768, max: 60_999 }
  // If both bounds had the same parity, the kernel would not use one of the ports.
  const first = min + 2 * Math.floor((max - min) / 4)
  return { min: first, max: first + COUNT - 1 }
}

let sources = 0

/** Returns a source address that no other test of the file uses. */
export function newSource(): string {
  return `127.77.0.${String(++sources)}`
}

export interface FullPorts {
  readonly options: net.TcpNetConnectOpts & {
    readonly source: string
    readonly portRange: { readonly min: number; readonly max: number }
  }
  /** The connections that use the ports. */
  readonly held: net.Socket[]
  /** Closes one of them without TIME_WAIT, and returns its port. */
  readonly release: () => number | undefined
}

/** Opens connections on all ports from a new source to a server. */
export async function useAllPorts(host: string, port: number): Promise<FullPorts> {
  const options = { host, port, source: newSource(), portRange: narrowRange() }
  const held: net.Socket[] = []
  for (;;) {
    const socket = connect({ ...options, close: 'reset' })
    destroyLater(socket)
    const error = await outcomeOf(socket)
    if (error !== undefined) {
      expect(error).toMatchObject({ code: 'EADDRNOTAVAIL', space: 'tuple' })
      break
    }
    held.push(socket)
  }
  const release = (): number | undefined => {
    const socket = held.pop()
    const { localPort } = socket ?? {}
    socket?.destroy()
    return localPort
  }
  return { options, held, release }
}

/** Resolves to the error, or to undefined once the socket is connected. */
function outcomeOf(socket: net.Socket): Promise<Error | undefined> {
  return new Promise((resolve) => {
    socket.once('connect', () => {
      resolve(undefined)
    })
    socket.once('error', resolve)
  })
}

/** Resolves once `count` more connections wait than before. */
export function untilWaiting(before: { waiting: number }, count: number): Promise<unknown> {
  return until(
    `${String(count)} connections wait`,
    () => portWaitTotals().waiting - before.waiting,
    (waiting) => waiting === count,
  )
}

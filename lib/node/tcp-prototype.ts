/** Measures connect() of every TCP handle of this thread, through their prototype, which Node does not export. */
import * as net from 'node:net'
import { native } from '../kernel/binding'
import { handleOf } from './handle'

type PrototypeConnect = (
  this: unknown,
  request: unknown,
  address: string,
  port: number,
  ...rest: readonly unknown[]
) => number

interface TcpPrototype {
  connect: PrototypeConnect
  connect6: PrototypeConnect
}

/**
 * Calls `took` after each call of connect(2), with its duration and destination.
 *
 * @returns a function that stops it; undefined if no handle can be created, for example without a free descriptor
 */
export function timeConnects(
  took: (milliseconds: number, address: string, port: number) => void,
): (() => void) | undefined {
  const prototype = tcpPrototype()
  if (prototype === undefined) return undefined
  const timed = (own: PrototypeConnect): PrototypeConnect =>
    function connect(request, address, port, ...rest) {
      const begun = performance.now()
      const result = own.call(this, request, address, port, ...rest)
      took(performance.now() - begun, address, port)
      return result
    }
  const { connect, connect6 } = prototype
  const replaced = { connect: timed(connect), connect6: timed(connect6) }
  Object.assign(prototype, replaced)
  return () => {
    // Other code may have replaced the method since then, and still calls ours.
    if (prototype.connect === replaced.connect) prototype.connect = connect
    if (prototype.connect6 === replaced.connect6) prototype.connect6 = connect6
  }
}

/** Finds the prototype through a temporary handle. */
function tcpPrototype(): TcpPrototype | undefined {
  const { AF_INET, SOCK_STREAM } = native.constants
  if (AF_INET === undefined || SOCK_STREAM === undefined) return undefined
  const fd = native.openSocket(AF_INET, SOCK_STREAM, 0)
  if (fd < 0) return undefined
  const socket = new net.Socket({ fd, readable: false, writable: false })
  const handle = handleOf(socket)
  socket.destroy()
  const prototype: unknown = handle === undefined ? undefined : Object.getPrototypeOf(handle)
  return isTcpPrototype(prototype) ? prototype : undefined
}

function isTcpPrototype(value: unknown): value is TcpPrototype {
  const { connect, connect6 } = (value ?? {}) as Partial<TcpPrototype>
  return typeof connect === 'function' && typeof connect6 === 'function'
}

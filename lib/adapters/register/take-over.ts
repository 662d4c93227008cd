import type * as net from 'node:net'
import { intercept, type Attempt, type Plan } from '../../connect/attempt'
import type { Handle } from '../../target'

type Connect = (
  request: unknown,
  address: string,
  port: number,
  ...rest: readonly unknown[]
) => number

/** The parts of Node's TCP handle that are used. */
type TcpHandle = Handle & { connect: Connect; connect6: Connect }

/**
 * Takes over the next connect() of a handle, as {@link intercept} does, but for this: where it fails,
 * Node connects by itself, with what is set by then.
 *
 * @param told of how it went, when connect() was called
 */
export function takeOver(
  handle: Handle,
  plan: Plan,
  told: (failure: Error | undefined) => void,
): Attempt {
  const own = handle as TcpHandle
  const { connect, connect6 } = own
  let failure: Error | undefined
  // In place of the net.Socket, which a failure is to leave alone.
  const standIn = {
    _handle: handle,
    destroy: (error: Error) => {
      failure = error
    },
  }
  const attempt = intercept(standIn as unknown as net.Socket, plan)
  const orNodes = (taken: Connect, nodes: Connect): Connect => {
    return (...args) => {
      const result = taken.call(handle, ...args)
      told(failure)
      return failure === undefined ? result : nodes.call(handle, ...args)
    }
  }
  own.connect = orNodes(own.connect, connect)
  own.connect6 = orNodes(own.connect6, connect6)
  return attempt
}

/** Whether a program of this library's has prepared the handle's connect() by itself. */
export function isTaken(handle: Handle): boolean {
  return Object.hasOwn(handle, 'connect')
}

/** Whether it is a TCP handle: that of a unix-domain socket has one connect() only. */
export function isTcp(handle: Handle | undefined): handle is Handle {
  return handle !== undefined && 'connect6' in handle
}

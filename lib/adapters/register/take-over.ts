import { noHandle, prepareHandle, type Attempt, type Plan } from '../../connect/attempt'
import type { Handle } from '../../node/handle'
import { tcpHandle, type TcpHandle } from '../../node/tcp-handle'

/**
 * Prepares the next connect() of a handle, for a program that is to see Node's own errors and no
 * others. Where the preparation fails, Node connects by itself, with what is set by then.
 *
 * @param told of how it went, when connect() was called
 */
export function takeOver(
  handle: Handle,
  plan: Plan,
  told: (failure: Error | undefined) => void,
): Attempt {
  const own = tcpHandle(handle)
  if (own === undefined) throw noHandle()
  const { connect, connect6 } = own
  let failure: Error | undefined
  const attempt = prepareHandle(own, plan, (error) => {
    failure = error
  })
  const orNodes = (prepared: TcpHandle['connect'], nodes: TcpHandle['connect']) => {
    return (...args: Parameters<TcpHandle['connect']>): number => {
      const result = prepared.call(handle, ...args)
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

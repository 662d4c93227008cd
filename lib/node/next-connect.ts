/** Intercepts net.connect() and tls.connect() as called by a module that requires node:net and node:tls. */
import net from 'node:net'
import tls from 'node:tls'

type Connect = (...args: readonly unknown[]) => net.Socket

/** node:net and node:tls as mutable objects. */
interface ConnectFunctions {
  connect: Connect
}

/** The replacements. */
export interface Answers {
  readonly connect: Connect
  readonly connectTls: Connect
}

/**
 * Runs `action` and handles its first call of net.connect() or tls.connect() instead of Node. Errors of the
 * replacement propagate to the caller.
 *
 * @returns whether there was such a call
 */
export function answerNextConnect(action: () => void, { connect, connectTls }: Answers): boolean {
  const tcp = net as unknown as ConnectFunctions
  const secure = tls as unknown as ConnectFunctions
  const own = { connect: tcp.connect, connectTls: secure.connect }
  let isAnswered = false
  let isRestored = false
  const restore = (): void => {
    if (isRestored) return
    isRestored = true
    tcp.connect = own.connect
    secure.connect = own.connectTls
  }
  const answerOnce =
    (answer: Connect): Connect =>
    (...args) => {
      // Restored first: connections that the replacement itself opens are Node's.
      restore()
      isAnswered = true
      return answer(...args)
    }
  tcp.connect = answerOnce(connect)
  secure.connect = answerOnce(connectTls)
  try {
    action()
  } finally {
    restore()
  }
  return isAnswered
}

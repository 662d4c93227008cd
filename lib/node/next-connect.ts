/** net.connect() and tls.connect() as a module that requires node:net and node:tls calls them. */
import net from 'node:net'
import tls from 'node:tls'

type Connect = (...args: readonly unknown[]) => net.Socket

/** node:net and node:tls as what they are: objects that a program may change. */
interface Connector {
  connect: Connect
}

/** What answers the call. */
export interface Answers {
  readonly connect: Connect
  readonly connectTls: Connect
}

/**
 * Runs `action` and answers its first call of net.connect() or tls.connect(), in place of Node. What an
 * answer throws comes out of that call.
 *
 * @returns whether there was such a call
 */
export function answerNextConnect(action: () => void, { connect, connectTls }: Answers): boolean {
  const tcp = net as unknown as Connector
  const secure = tls as unknown as Connector
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
      // What the answer itself connects is Node's.
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

/**
 * The connections of one client of autocannon.
 *
 * autocannon has no option for them: its Client makes each one, the first and those after a
 * reconnect, in its method `_connect`, by net.connect() or tls.connect(). That method is its own to
 * the letter here; only, while it runs, the first call of one of the two functions is answered by a
 * tuned connection. So nothing of autocannon's is copied, nobody else's connection is touched, and an
 * autocannon that connects otherwise is noticed.
 */
import * as net from 'node:net'
import { netArguments, tlsArguments } from '../../connect/arguments'
import { SocketTunerError } from '../../errors'
import { answerNextConnect } from '../../node/next-connect'
import type { Connections, Owner } from './connections'

/** What is used of autocannon's Client: README.md of autocannon, "Client API", and lib/httpClient.js. */
export interface Client {
  readonly destroyed: boolean
  _connect: () => void
  destroy(): void
}

/** Makes all connections of a client tuned ones. Call it before the client makes its first one. */
export function tuneClient(client: Client, connections: Connections): void {
  // autocannon may be of any release.
  if (typeof (client as Partial<Client>)._connect !== 'function') throw unsupported()
  const connect = client._connect.bind(client)
  let wasRefused = false
  let retry: NodeJS.Immediate | undefined
  const owner: Owner = {
    refused: () => {
      wasRefused = true
    },
    isDone: () => client.destroyed,
  }

  client._connect = () => {
    clearImmediate(retry)
    if (!wasRefused) {
      connectNow()
      return
    }
    // A connect() that is refused for want of a port says so in this very tick, and autocannon tries
    // again as soon as it is told: the event loop would never come to anything else.
    wasRefused = false
    retry = setImmediate(() => {
      if (!client.destroyed) connectNow()
    })
  }

  function connectNow(): void {
    let failure: Error | undefined
    const answer = (connection: () => net.Socket): net.Socket => {
      try {
        return connection()
      } catch (error) {
        failure = error as Error
        return new net.Socket().destroy()
      }
    }
    const isAnswered = answerNextConnect(connect, {
      connect: (...args) => answer(() => connections.connect(netArguments(args).options, owner)),
      connectTls: (...args) =>
        answer(() => connections.connectTls(tlsArguments(args).options, owner)),
    })
    if (!isAnswered) failure = unsupported()
    if (failure === undefined) return
    try {
      client.destroy()
    } catch {
      // A client that is not known: what matters is why it cannot be used.
    }
    throw failure
  }
}

/** The error for an autocannon that does not connect as the known ones do. */
export function unsupported(): SocketTunerError {
  return new SocketTunerError(
    'This release of autocannon makes its connections in a way that is not known: 8 and 9 are supported',
    { code: 'ERR_SOCKET_TUNER_UNSUPPORTED', syscall: 'connect' },
  )
}

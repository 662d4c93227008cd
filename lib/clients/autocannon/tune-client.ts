/**
 * Tunes the connections of one client of autocannon.
 *
 * autocannon has no option for that. Its Client opens each connection, also after a reconnect, in its method `_connect`,
 * by net.connect() or tls.connect(). While this method runs, the first call of either function returns a tuned
 * connection. So no code of autocannon is copied, no other connection is changed, and a release of autocannon that
 * connects in another way is noticed.
 */
import * as net from 'node:net'
import { netArguments, tlsArguments } from '../../connect/connect-arguments'
import { SocketTunerError } from '../../errors'
import { answerNextConnect } from '../../node/next-connect'
import type { CountedConnections, Owner } from './counted-connections'

/** The members of autocannon's Client that are used (README.md, "Client API", and lib/httpClient.js of autocannon). */
export interface Client {
  readonly destroyed: boolean
  _connect: () => void
  destroy(): void
}

/** Tunes all connections of a client. Must be called before it opens the first one. */
export function tuneClient(client: Client, connections: CountedConnections): void {
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
    // Without a free port, connect() fails in this tick, and autocannon tries again at once. That would block the event
    // loop for ever.
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
      // An unknown client. The error that matters is the one below.
    }
    throw failure
  }
}

/** The error for a release of autocannon that connects in an unknown way. */
export function unsupported(): SocketTunerError {
  return new SocketTunerError(
    'This release of autocannon connects in an unknown way: 8 and 9 are supported',
    { code: 'ERR_SOCKET_TUNER_UNSUPPORTED', syscall: 'connect' },
  )
}

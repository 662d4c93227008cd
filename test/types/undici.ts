/**
 * Compiled only, by `tsc -p test`: calls to `tunedConnector` with the types of undici 6, 7 and 8. A line
 * below `@ts-expect-error` that compiles is an error.
 */
import type * as net from 'node:net'
import type * as undici6 from 'undici6'
import type * as undici7 from 'undici7'
import type * as undici8 from 'undici8'
import { SourcePool, profiles } from '../../lib'
import {
  tunedConnector,
  type ConnectCallback,
  type ConnectParameters,
  type TunedConnector,
  type TunedConnectorOptions,
} from '../../lib/clients/undici'

const connect = tunedConnector()

// The options of each release's clients accept it.
export const options6: [
  undici6.Agent.Options,
  undici6.Pool.Options,
  undici6.Client.Options,
  undici6.buildConnector.connector,
] = [{ connect }, { connect }, { connect }, connect]
export const options7: [
  undici7.Agent.Options,
  undici7.Pool.Options,
  undici7.Client.Options,
  undici7.buildConnector.connector,
] = [{ connect }, { connect }, { connect }, connect]
export const options8: [
  undici8.Agent.Options,
  undici8.Pool.Options,
  undici8.Client.Options,
  undici8.buildConnector.connector,
] = [{ connect }, { connect }, { connect }, connect]

// A connector with undici's type can wrap it.
export const wrapped6: undici6.buildConnector.connector = (asked, callback) => {
  connect(asked, callback)
}
export const wrapped7: undici7.buildConnector.connector = (asked, callback) => {
  connect(asked, callback)
}
export const wrapped8: undici8.buildConnector.connector = (asked, callback) => {
  connect(asked, callback)
}

// It accepts the options of each release's own connector.
type Own<Options> = Options & { lookup?: net.LookupFunction }
export function ownOptions(
  six: Pick<Own<undici6.buildConnector.BuildOptions>, Common>,
  seven: Pick<Own<undici7.buildConnector.BuildOptions>, Common>,
  eight: Pick<Own<undici8.buildConnector.BuildOptions>, Common | 'preferH2'>,
): TunedConnector[] {
  return [tunedConnector(six), tunedConnector(seven), tunedConnector(eight)]
}
type Common =
  | 'allowH2'
  | 'maxCachedSessions'
  | 'socketPath'
  | 'timeout'
  | 'keepAlive'
  | 'keepAliveInitialDelay'
  | 'lookup'

tunedConnector({ settings: profiles.stressClient, source: new SourcePool(['127.0.0.2']) })
tunedConnector({ close: { mode: 'fin', requireTimestamps: false }, portRange: 'kernel' })
tunedConnector({ ca: ['certificate'], rejectUnauthorized: false, ALPNProtocols: ['h2'] })
export const { reused }: { reused: number } = tunedConnector({ retry: false }).counters()
tunedConnector({ timeout: null, maxCachedSessions: null, socketPath: null, allowH2: null })

// @ts-expect-error -- no option
tunedConnector({ setting: {} })
// @ts-expect-error -- no option of a socket
tunedConnector({ settings: { TCP_NO_DELAY: true } })
// @ts-expect-error -- milliseconds
tunedConnector({ timeout: '10s' })
// @ts-expect-error -- no close mode
tunedConnector({ close: 'abort' })
// @ts-expect-error -- undici gives the destination
tunedConnector({ host: 'localhost', port: 80 })
// @ts-expect-error -- undici gives the socket of a proxy
tunedConnector({ socket: undefined })

export function results(asked: ConnectParameters, options: TunedConnectorOptions): void {
  const callback: ConnectCallback = (error, socket) => {
    if (error === null) socket.setNoDelay()
    else error.message.trim()
  }
  const socket: net.Socket | undefined = tunedConnector(options)(asked, callback)
  socket?.destroy()
}

/** A user's file, compiled by .ci/types-matrix: uses every entry, and the most common types. */
import * as http from 'node:http'
import * as net from 'node:net'
import {
  RawSocket,
  SocketTunerError,
  closeSocket,
  connect,
  getOption,
  profiles,
  setOption,
  tcpInfo,
  tune,
  tuneServer,
  type ErrorCode,
  type Settings,
} from 'socket-tuner'
import { TunedAgent } from 'socket-tuner/http'
import * as artillery from 'socket-tuner/artillery'
import * as autocannon from 'socket-tuner/autocannon'
import * as metrics from 'socket-tuner/metrics'
import { tunedConnector } from 'socket-tuner/undici'
import 'socket-tuner/register'

const settings: Settings = { ...profiles.lowLatency, TCP_KEEPIDLE: 30, SO_MARK: undefined }
const socket: net.Socket = connect({ host: '127.0.0.1', port: 1, settings })
const report = tune(socket, { TCP_NODELAY: true, SO_LINGER: { enabled: true, seconds: 0 } })
export const status: 'applied' | string = report.TCP_NODELAY.status
setOption(socket, 'TCP_CONGESTION', 'cubic')
export const idle: number = getOption(socket, 'TCP_KEEPIDLE')
export const rtt: number | undefined = tcpInfo(socket).rtt
RawSocket.open(4, { SO_REUSEPORT: true }).setOption('TCP_MAXSEG', 1200)
tuneServer(http.createServer(), { settings: { TCP_NODELAY: true } })
void closeSocket(socket, 'deliver').catch((error: unknown) => {
  const code: ErrorCode | undefined = error instanceof SocketTunerError ? error.code : undefined
  if (code === 'EPERM') socket.destroy()
})
http.get({ agent: new TunedAgent({ settings }) }).end()
export const others = [artillery, autocannon, metrics, tunedConnector()]

// @ts-expect-error -- no such option
tune(socket, { TCP_NO_DELAY: true })
// @ts-expect-error -- a string is not a boolean
setOption(socket, 'TCP_NODELAY', 'yes')

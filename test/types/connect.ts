/** Compiled only: what connect(), RawSocket and SourcePool take, and what they must not. */
import type * as http from 'node:http'
import type * as net from 'node:net'
import { RawSocket, SourcePool, connect, type SourceUsage, type TuneReport } from '../../lib'

const pool: SourcePool = new SourcePool(['127.0.0.2'])
const usage: SourceUsage[] = pool.usage('127.0.0.1', 80)

const socket: net.Socket = connect({
  host: 'localhost',
  port: 80,
  noDelay: true,
  settings: { SO_RCVBUF: 65_536, TCP_MAXSEG: 900 },
  source: pool,
  portRange: { min: 40_000, max: 40_099 },
  close: { mode: 'deliver', requireTimestamps: false },
})
connect({ path: '/run/x', close: 'fin' }, () => undefined)
connect({ port: 80, source: '127.0.0.2', portRange: 'kernel' })

// @ts-expect-error -- no such option
connect({ port: 80, settings: { SO_NOTHING: 1 } })
// @ts-expect-error -- a boolean is wanted
connect({ port: 80, settings: { TCP_NODELAY: 1 } })
// @ts-expect-error -- it cannot be set
connect({ port: 80, settings: { TCP_INFO: 1 } })
// @ts-expect-error -- no such mode
connect({ port: 80, close: 'soon' })
// @ts-expect-error -- a pool is to be made of several
connect({ port: 80, source: ['127.0.0.2'] })
// @ts-expect-error -- an array is wanted
new SourcePool('127.0.0.2')

const raw: RawSocket = RawSocket.open(4, { SO_REUSEADDR: true }, { mptcp: false })
RawSocket.open('IPv6')
raw.bind({ port: 8080 }).connect({ host: 'localhost', port: 80 }).end()
const report: TuneReport<{ TCP_NODELAY: true }> = raw.tune({ TCP_NODELAY: true })
const window: number = raw.getOption('SO_RCVBUF')
declare const server: http.Server
const address: Promise<net.AddressInfo> = raw.listenOn(server)
{
  using scoped = RawSocket.open(4)
  scoped.bind()
}

// @ts-expect-error -- no such family
RawSocket.open(5)
// @ts-expect-error -- no such option
RawSocket.open(4, { NOTHING: true })
// @ts-expect-error -- the constructor is not for callers
new RawSocket(4, {}, false)
// @ts-expect-error -- bind() is for that
raw.connect({ port: 80, localAddress: '127.0.0.2' })
// @ts-expect-error -- read-only
raw.fd = 7

export { usage, socket, report, window, address }

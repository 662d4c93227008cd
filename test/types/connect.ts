/** Compiled only: arguments that connect(), RawSocket and SourcePool must accept or refuse. */
import type * as http from 'node:http'
import type * as net from 'node:net'
import type { PluginConfig } from '../../lib/clients/artillery'
import { tunedAutocannon } from '../../lib/clients/autocannon'
import { TunedAgent, TunedHttpsAgent } from '../../lib/clients/http'
import { tunedConnector } from '../../lib/clients/undici'
import { portWaitTotals, type PortWaitTotals } from '../../lib/ports'
import {
  Connector,
  RawSocket,
  SourcePool,
  connect,
  prepareSocket,
  type PrepareSocketOptions,
  type Source,
  type SourceUsage,
  type TuneReport,
} from '../../lib'

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
connect({ port: 80, source: '127.0.0.2', portRange: 'kernel', portWaitMs: 5_000 })
const waits: PortWaitTotals = portWaitTotals()
const waited: number = waits.served + waits.expired + waits.abandoned + waits.waiting

// @ts-expect-error -- no such option
connect({ port: 80, settings: { SO_NOTHING: 1 } })
// @ts-expect-error -- a boolean is wanted
connect({ port: 80, settings: { TCP_NODELAY: 1 } })
// @ts-expect-error -- it cannot be set
connect({ port: 80, settings: { TCP_INFO: 1 } })
// @ts-expect-error -- no such mode
connect({ port: 80, close: 'soon' })
// Every function accepts the same type of source.
const sources: Source[] = ['127.0.0.2', ['127.0.0.2', '127.0.0.3'], pool, pool.addresses]
for (const source of sources) {
  connect({ port: 80, source })
  new Connector({ source }).connect({ port: 80 })
  new TunedAgent({ source })
  new TunedHttpsAgent({ source })
  tunedConnector({ source })
  void tunedAutocannon({ url: 'http://127.0.0.1' }, { source })
}
const plugin: PluginConfig = { source: ['127.0.0.2', '127.0.0.3'] }
// @ts-expect-error -- an address is a string
connect({ port: 80, source: [7] })
// @ts-expect-error -- milliseconds
connect({ port: 80, portWaitMs: '5s' })
// @ts-expect-error -- one name for one or several
connect({ port: 80, sources: ['127.0.0.2'] })
// @ts-expect-error -- bind() is for that
raw.connect({ port: 80, source: '127.0.0.2' })
// @ts-expect-error -- an array is wanted
new SourcePool('127.0.0.2')

const prepared: net.Socket = prepareSocket()
const preparation: PrepareSocketOptions = {
  allowHalfOpen: true,
  settings: { SO_RCVBUF: 65_536 },
  source: pool,
  portRange: 'kernel',
  close: { mode: 'deliver' },
}
prepareSocket(preparation)
  .connect(80, 'localhost', () => undefined)
  .setNoDelay()
prepareSocket().connect({ path: '/run/x' })
new Connector({ close: 'deliver' }).prepareSocket({ allowHalfOpen: true }).connect(80)

// @ts-expect-error -- its connect() takes the destination
prepareSocket({ port: 80 })
// @ts-expect-error -- no such option
prepareSocket({ settings: { SO_NOTHING: 1 } })
// @ts-expect-error -- a Connector has its tuning
new Connector().prepareSocket({ close: 'deliver' })

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

export { usage, socket, prepared, report, window, address, plugin, waited }

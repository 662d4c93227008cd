/**
 * What a client holds to that makes its connections by a Connector: the agents, undici's connector and
 * autocannon here, and anybody's adapter of another client.
 */
import * as http from 'node:http'
import * as https from 'node:https'
import type * as net from 'node:net'
import { SourcePool, closeTotals, getOption, type TuningOptions } from '../../lib'
import { makeCertificate, type Certificate } from './certificate'
import { timeWaitsLeft } from './left-states'
import type { Connection } from './tcp-table'
import { until } from './until'
import { listen } from '../sockets'

/** A client with a tuning of its own. */
export interface TunedClient {
  /** Makes a GET request, and resolves when the answer is read. Rejects with the error of the connection. */
  get(url: string): Promise<unknown>
  /** Closes all connections, by which means the client has for that. */
  close(): unknown
}

/**
 * @param ca the certificate that TLS connections trust
 * @throws what `new Connector(tuning)` throws
 */
export type MakeClient = (tuning: TuningOptions, ca: string) => TunedClient

const MSS = 1000
/** Both ends take the 12 bytes of the timestamps from it. */
const MSS_AT_SERVER = 988

interface Seen {
  url: string
  ends: Connection[]
  segments: unknown[]
  sources: (string | undefined)[]
}

let certificate: Certificate | undefined

/** Answers each request, and leaves closing to the client. */
async function serve(protocol: 'http' | 'https'): Promise<Seen> {
  certificate ??= makeCertificate()
  const options = { keepAliveTimeout: 60_000 }
  const server =
    protocol === 'http'
      ? http.createServer(options)
      : https.createServer({ ...options, ...certificate })
  const seen: Seen = { url: '', ends: [], segments: [], sources: [] }
  server.on('connection', (socket: net.Socket) => {
    const { remotePort = 0, localPort = 0, remoteAddress } = socket
    seen.ends.push({ localPort: remotePort, remotePort: localPort })
    seen.segments.push(getOption(socket, 'TCP_MAXSEG'))
    seen.sources.push(remoteAddress)
  })
  server.on('request', (_, response) => response.end('answer'))
  seen.url = `${protocol}://127.0.0.1:${String(await listen(server))}/`
  return seen
}

/** Has a client make some requests, one after the other, and close. */
async function run(
  make: MakeClient,
  tuning: TuningOptions,
  seen: Seen,
  requests = 1,
): Promise<void> {
  const client = make(tuning, certificate?.cert ?? '')
  try {
    for (let i = 0; i < requests; i++) await client.get(seen.url)
  } finally {
    await client.close()
  }
}

export function describeClient(name: string, make: MakeClient): void {
  describe.each(['http', 'https'] as const)(`the contract of ${name}, over %s`, (protocol) => {
    it('has settings in force before the handshake', async () => {
      const seen = await serve(protocol)
      await run(make, { settings: { TCP_MAXSEG: MSS } }, seen)
      expect(seen.segments).toEqual([MSS_AT_SERVER])
    })

    it('connects from its source', async () => {
      const seen = await serve(protocol)
      await run(make, { source: '127.0.0.7' }, seen)
      expect(seen.sources).toEqual(['127.0.0.7'])
      const pool = new SourcePool(['127.0.0.8'])
      await run(make, { source: pool }, seen)
      expect(seen.sources).toEqual(['127.0.0.7', '127.0.0.8'])
    })

    it('leaves no TIME_WAIT with deliver, whose closes are counted', async () => {
      const seen = await serve(protocol)
      const before = closeTotals()
      await run(make, { close: 'deliver' }, seen, 3)
      expect(await timeWaitsLeft(seen.ends)).toBe(0)
      await until(
        'all are counted',
        () => closeTotals().closes.deliver - before.closes.deliver,
        (count) => count === seen.ends.length,
      )
      expect(closeTotals()).toMatchObject({
        fallbacks: before.fallbacks,
        timeWaitLeft: before.timeWaitLeft,
      })
    })

    it('leaves TIME_WAIT with fin, which is counted too', async () => {
      const seen = await serve(protocol)
      const before = closeTotals()
      await run(make, { close: 'fin' }, seen)
      expect(await timeWaitsLeft(seen.ends)).toBe(1)
      await until(
        'it is counted',
        () => closeTotals(),
        ({ closes, timeWaitLeft }) =>
          closes.fin === before.closes.fin + 1 && timeWaitLeft === before.timeWaitLeft + 1,
      )
    })

    it('tells the error of a connection that cannot be made, and its way out', async () => {
      const { url } = await serve(protocol)
      // TEST-NET-1 (RFC 5737): no host has it.
      const client = make({ source: '192.0.2.1' }, '')
      await expect(client.get(url)).rejects.toMatchObject({
        code: 'EADDRNOTAVAIL',
        message: expect.stringContaining('192.0.2.1 is not an address of this host') as string,
      })
      await client.close()
    })

    it.each<[string, object, string]>([
      ['a misspelled option', { setings: {} }, 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'],
      [
        'a misspelled setting',
        { settings: { TCP_NODELAI: true } },
        'ERR_SOCKET_TUNER_UNKNOWN_OPTION',
      ],
      ['a setting of another type', { settings: { TCP_NODELAY: 1 } }, 'ERR_INVALID_ARG_TYPE'],
      ['an unknown mode', { close: 'gently' }, 'ERR_INVALID_ARG_VALUE'],
    ])('refuses %s when it is made', (_, tuning, code) => {
      expect(() => make(tuning, '')).toThrow(expect.objectContaining({ code }) as Error)
    })
  })
}

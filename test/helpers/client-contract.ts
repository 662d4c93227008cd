/**
 * The tests that every tuned client must pass: the agents, undici's connector, autocannon, Artillery and
 * register of this library, and any adapter for another client that makes its connections with a Connector.
 */
import * as http from 'node:http'
import * as https from 'node:https'
import type * as net from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import {
  closeModeNames,
  closeTotals,
  getOption,
  SourcePool,
  type CloseTotals,
  type TuningOptions,
} from '../../lib'
import { portWaitTotals } from '../../lib/ports'
import { makeCertificate, type Certificate } from './certificate'
import { untilWaiting, useAllPorts } from './full-ports'
import { timeWaitsLeft } from './left-states'
import type { Connection } from './tcp-table'
import { until } from './until'
import { listen } from '../sockets'
import { FOREIGN } from './foreign-address'

/** A client with its own tuning. */
export interface TunedClient {
  /** Makes a GET request. Resolves when the answer has been read, or rejects with the error of the connection. */
  get(url: string): Promise<unknown>
  /** Closes all connections in the way in which the client closes them. */
  close(): unknown
  /** The totals of the process that closes its connections. Without it, those of this process. */
  totals?: () => Promise<CloseTotals>
}

/**
 * @param ca the certificate that TLS connections trust
 * @throws the same errors as `new Connector(tuning)`
 */
export type MakeClient = (tuning: TuningOptions, ca: string) => TunedClient | Promise<TunedClient>

const MSS = 1000
/** The MSS less the 12 bytes of timestamps, which both ends subtract. */
const MSS_AT_SERVER = 988

interface Seen {
  url: string
  ends: Connection[]
  segments: unknown[]
  sources: (string | undefined)[]
}

let certificate: Certificate | undefined

/** Starts a server that answers each request and leaves closing to the client. */
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

interface Counted {
  closes: CloseTotals['closes']
  fallbacks: CloseTotals['fallbacks']
  timeWaitLeft: number
}

/** Returns the closes since `before`. */
async function closesSince(client: TunedClient, before: CloseTotals): Promise<Counted> {
  const { closes, fallbacks, timeWaitLeft } = await totalsOf(client)
  return {
    closes: grown(closes, before.closes),
    fallbacks: grown(fallbacks, before.fallbacks),
    timeWaitLeft: timeWaitLeft - before.timeWaitLeft,
  }
}

function totalsOf(client: TunedClient): CloseTotals | Promise<CloseTotals> {
  return client.totals?.() ?? closeTotals()
}

function grown<Counts extends object>(now: Counts, before: Counts): Counts {
  const earlier = before as Readonly<Record<string, number>>
  const entries = Object.entries<number>(now as Readonly<Record<string, number>>)
  return Object.fromEntries(
    entries.map(([name, count]) => [name, count - (earlier[name] ?? 0)]),
  ) as Counts
}

/**
 * Makes requests with a client, one after the other, and closes it.
 *
 * @returns a function that reads the closes counted since
 */
async function run(
  make: MakeClient,
  tuning: TuningOptions,
  seen: Seen,
  requests = 1,
): Promise<() => Promise<Counted>> {
  const client = await make(tuning, certificate?.cert ?? '')
  const before = await totalsOf(client)
  try {
    for (let i = 0; i < requests; i++) await client.get(seen.url)
  } finally {
    await client.close()
  }
  return () => closesSince(client, before)
}

const NO_CLOSES = Object.fromEntries(closeModeNames.map((mode) => [mode, 0]))

/** @param waitsForPorts whether the client accepts `portWaitMs` */
export function describeClient(
  name: string,
  make: MakeClient,
  { waitsForPorts = true }: { waitsForPorts?: boolean } = {},
): void {
  describe.each(['http', 'https'] as const)(`the contract of ${name}, over %s`, (protocol) => {
    it('applies its settings before the handshake', async () => {
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
      await run(make, { source: ['127.0.0.9', '127.0.0.10'] }, seen)
      expect(['127.0.0.9', '127.0.0.10']).toContain(seen.sources[2])
    })

    if (waitsForPorts) {
      it('waits for a free port with portWaitMs', async () => {
        const seen = await serve(protocol)
        const { hostname, port } = new URL(seen.url)
        const { options, release } = await useAllPorts(hostname, Number(port))
        const { source, portRange } = options
        const before = portWaitTotals()
        const tuning = { source, portRange, portWaitMs: 600_000 }
        const done = run(make, tuning, seen)
        await untilWaiting(before, 1)
        const freed = release()
        await done
        expect(seen.ends.at(-1)?.remotePort).toBe(Number(port))
        expect(seen.ends.at(-1)?.localPort).toBe(freed)
        expect(portWaitTotals()).toEqual({ ...before, served: before.served + 1 })
      })
    }

    it('leaves no TIME_WAIT with deliver, and counts the closes', async () => {
      const seen = await serve(protocol)
      const counted = await run(make, { close: 'deliver' }, seen, 3)
      expect(await timeWaitsLeft(seen.ends)).toBe(0)
      const { fallbacks, ...rest } = await until('all are counted', counted, ({ closes }) =>
        isDeepStrictEqual(closes, { ...NO_CLOSES, deliver: seen.ends.length }),
      )
      expect(rest.timeWaitLeft).toBe(0)
      expect(Object.values(fallbacks).every((count) => count === 0)).toBe(true)
    })

    it('leaves TIME_WAIT with fin, and counts it', async () => {
      const seen = await serve(protocol)
      const counted = await run(make, { close: 'fin' }, seen)
      expect(await timeWaitsLeft(seen.ends)).toBe(1)
      const { timeWaitLeft } = await until('it is counted', counted, ({ closes }) =>
        isDeepStrictEqual(closes, { ...NO_CLOSES, fin: 1 }),
      )
      expect(timeWaitLeft).toBe(1)
    })

    it('fails with an error that explains why the connection cannot be made', async () => {
      const { url } = await serve(protocol)
      // TEST-NET-1 (RFC 5737): no host has it.
      const client = await make({ source: FOREIGN }, certificate?.cert ?? '')
      await expect(client.get(url)).rejects.toMatchObject({
        code: 'EADDRNOTAVAIL',
        message: expect.stringContaining(`${FOREIGN} is not an address of this host`) as string,
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
      ['a source that is not an address', { source: 'eth0' }, 'ERR_INVALID_ARG_VALUE'],
      ['an empty list of sources', { source: [] }, 'ERR_INVALID_ARG_VALUE'],
      ['a duplicate source', { source: ['::1', '0::1'] }, 'ERR_INVALID_ARG_VALUE'],
    ])('refuses %s when it is made', async (_, tuning, code) => {
      await expect(async () => make(tuning, '')).rejects.toMatchObject({ code })
    })
  })
}

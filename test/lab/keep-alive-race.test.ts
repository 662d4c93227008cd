import type { ReuseCounters } from '../../lib/clients/http'
import { releases, type Version } from '../clients/undici-releases'
import { makeCertificate, type Certificate } from '../helpers/certificate'
import type { CommandLine } from '../helpers/command'
import { labDescribe } from '../helpers/lab'
import { useNamespace, type Namespace } from '../helpers/namespace'
import { INSTALL_DEADLINE_MS, installNode } from '../helpers/node-release'
import { size } from '../helpers/size'

interface Race {
  /** A program of test/lab/programs. By default, that of the agents. */
  by?: string
  /** The release of undici. */
  version?: Version
  how?: 'request' | 'fetch' | 'global' | 'node'
  requests: number
  method?: 'GET' | 'POST'
  /** false for Node's own agent. */
  tuned?: boolean
  certificate?: Certificate
}

interface Raced {
  client: {
    begun: number
    answered: number
    errors: Record<string, number>
    counters: ReuseCounters
  }
  server: {
    requests: number
    closedByFin: number
    closedByReset: number
    /** The number of times that each POST arrived, by its path. */
    ids: Record<string, number>
  }
}

const REQUESTS = size('KEEP_ALIVE_RACES')
/** The server closes within these ms, in which the client reuses the connection. */
const WITHIN_MS = 5

async function race(
  namespace: Namespace,
  { by = 'http-agent-client', certificate, ...task }: Race,
): Promise<Raced> {
  const tls = { tls: certificate, withinMs: WITHIN_MS }
  const { server, port } = await namespace.serve('restless-server', tls)
  const all = { ...task, port, ca: certificate?.cert, atATime: 64, pauseMs: WITHIN_MS }
  const client = (await namespace.perform(by, all, later(task.version))) as Raced['client']
  const seen = (await server.ask('seen')) as Raced['server']
  await server.stop()
  // Otherwise the test had no race.
  expect(seen.closedByFin).toBeGreaterThan(task.requests / 10)
  expect(seen.closedByReset).toBeGreaterThan(task.requests / 10)
  expect(client.begun).toBe(task.requests)
  return { client, server: seen }
}

/** The Node that runs the clients of releases of undici for which the current one is too old. */
let laterNode: CommandLine | undefined

function later(version: Version | undefined): CommandLine | undefined {
  return releases.some((each) => each.version === version && each.lacking) ? laterNode : undefined
}

labDescribe('a server that closes idle connections at random', ['root', 'ip', 'openssl'], () => {
  const namespace = useNamespace()

  it('makes no GET through TunedAgent fail', async () => {
    const requests = REQUESTS
    const { client } = await race(namespace(), { requests })
    expect(client).toMatchObject({ answered: requests, errors: {} })
    // Each way of closing the race was needed.
    expect(client.counters.deadBeforeReuse).toBeGreaterThan(0)
    expect(client.counters.retried).toBeGreaterThan(0)
  })

  it('makes some GETs through http.Agent fail', async () => {
    const requests = Math.min(REQUESTS, 3_000)
    const { client } = await race(namespace(), { requests, tuned: false })
    expect(client.errors.ECONNRESET).toBeGreaterThan(requests / 100)
  })

  it('receives no POST through TunedAgent twice', async () => {
    const requests = Math.min(REQUESTS, 10_000)
    const { client, server } = await race(namespace(), { requests, method: 'POST' })
    expect(Object.values(server.ids).filter((times) => times > 1)).toEqual([])
    expect(client.counters).toMatchObject({ retried: 0 })
    expect(client.counters.deadBeforeReuse).toBeGreaterThan(0)
    // If the server closed while a request was in transit, the program must decide what to do.
    const failed = Object.values(client.errors).reduce((sum, count) => sum + count, 0)
    expect(client.answered + failed).toBe(requests)
    expect(server.requests).toBeGreaterThanOrEqual(client.answered)
  })

  it('makes no GET over TLS through TunedHttpsAgent fail', async () => {
    const requests = Math.min(REQUESTS, 5_000)
    const certificate = makeCertificate()
    const { client } = await race(namespace(), { requests, certificate })
    expect(client).toMatchObject({ answered: requests, errors: {} })
    expect(client.counters.retried).toBeGreaterThan(0)
  })

  it('receives no POST over TLS through TunedHttpsAgent twice', async () => {
    const certificate = makeCertificate()
    const task = { requests: Math.min(REQUESTS, 3_000), method: 'POST', certificate } as const
    const { client, server } = await race(namespace(), task)
    expect(Object.values(server.ids).filter((times) => times > 1)).toEqual([])
    expect(client.counters).toMatchObject({ retried: 0 })
  })
})

const by = 'undici-race-client'

describe.each(releases)('undici $version', ({ version, lacking }) => {
  labDescribe('with a server that closes idle connections at random', ['root', 'ip'], () => {
    if (lacking !== undefined) {
      beforeAll(async () => {
        laterNode ??= [await installNode('24')]
      }, INSTALL_DEADLINE_MS)
    }
    const namespace = useNamespace()
    const few = Math.min(REQUESTS, 5_000)
    // Only the newest release runs at full length; the tests are the same.
    const many = version === releases.at(-1)?.version ? REQUESTS : few

    it.each([
      ['request()', 'request', many],
      ['fetch() with a dispatcher', 'fetch', many],
      ["Node's fetch() under setGlobalDispatcher()", 'global', many],
      // Node's fetch() accepts a dispatcher only of the release of undici that Node contains.
      ...(process.versions.undici?.startsWith(`${String(version)}.`) === true
        ? [["Node's fetch() with a dispatcher", 'node', few] as const]
        : []),
    ] as const)('has no failed GET through %s', async (_name, how, requests) => {
      const { client } = await race(namespace(), { by, version, how, requests })
      expect(client).toMatchObject({ answered: requests, errors: {} })
      const { reused, deadBeforeReuse, retried } = client.counters
      expect(reused).toBeGreaterThan(requests / 10)
      // undici alone would have lost these.
      expect(deadBeforeReuse + retried).toBeGreaterThan(0)
    })

    it("has failed GETs through undici's own connector", async () => {
      const requests = Math.min(REQUESTS, 3_000)
      const { client } = await race(namespace(), { by, version, requests, tuned: false })
      const failed = Object.values(client.errors).reduce((sum, count) => sum + count, 0)
      expect(failed).toBeGreaterThan(requests / 100)
    })

    it.each(['request', 'fetch'] as const)('sends no POST twice through %s()', async (how) => {
      const requests = Math.min(REQUESTS, 10_000)
      const { client, server } = await race(namespace(), {
        by,
        version,
        how,
        requests,
        method: 'POST',
      })
      expect(Object.values(server.ids).filter((times) => times > 1)).toEqual([])
      expect(client.counters).toMatchObject({ retried: 0 })
      const failed = Object.values(client.errors).reduce((sum, count) => sum + count, 0)
      expect(client.answered + failed).toBe(requests)
    })

    it('has no failed GET over TLS', async () => {
      const requests = Math.min(REQUESTS, 3_000)
      const certificate = makeCertificate()
      const { client } = await race(namespace(), { by, version, requests, certificate })
      expect(client).toMatchObject({ answered: requests, errors: {} })
      const { deadBeforeReuse, retried } = client.counters
      expect(deadBeforeReuse + retried).toBeGreaterThan(0)
    })
  })
})

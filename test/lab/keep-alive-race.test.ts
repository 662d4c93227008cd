import type { AgentCounters } from '../../lib/clients/http'
import { makeCertificate, type Certificate } from '../helpers/certificate'
import { labDescribe } from '../helpers/lab'
import { useNamespace, type Namespace } from '../helpers/namespace'
import { size } from '../helpers/size'

interface Race {
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
    counters: AgentCounters
  }
  server: {
    requests: number
    closedByFin: number
    closedByReset: number
    /** How often each POST came in, by its path. */
    ids: Record<string, number>
  }
}

const REQUESTS = size('KEEP_ALIVE_RACES')
/** The server closes in the same few ms in which the client comes back. */
const WITHIN_MS = 5

async function race(namespace: Namespace, { certificate, ...task }: Race): Promise<Raced> {
  const tls = { tls: certificate, withinMs: WITHIN_MS }
  const { server, port } = await namespace.serve('restless-server', tls)
  const all = { ...task, port, ca: certificate?.cert, atATime: 64, pauseMs: WITHIN_MS }
  const client = (await namespace.perform('http-agent-client', all)) as Raced['client']
  const seen = (await server.ask('seen')) as Raced['server']
  await server.stop()
  // Otherwise there was no race.
  expect(seen.closedByFin).toBeGreaterThan(task.requests / 10)
  expect(seen.closedByReset).toBeGreaterThan(task.requests / 10)
  expect(client.begun).toBe(task.requests)
  return { client, server: seen }
}

labDescribe('a server that closes idle connections at random', ['root', 'ip', 'openssl'], () => {
  const namespace = useNamespace()

  it('is not noticed by GETs through TunedAgent', async () => {
    const requests = REQUESTS
    const { client } = await race(namespace(), { requests })
    expect(client).toMatchObject({ answered: requests, errors: {} })
    // Each way of closing the race was needed.
    expect(client.counters.deadBeforeReuse).toBeGreaterThan(0)
    expect(client.counters.retried).toBeGreaterThan(0)
  })

  it('fails some of the GETs through http.Agent', async () => {
    const requests = Math.min(REQUESTS, 3_000)
    const { client } = await race(namespace(), { requests, tuned: false })
    expect(client.errors.ECONNRESET).toBeGreaterThan(requests / 100)
  })

  it('gets no POST twice from TunedAgent', async () => {
    const requests = Math.min(REQUESTS, 10_000)
    const { client, server } = await race(namespace(), { requests, method: 'POST' })
    expect(Object.values(server.ids).filter((times) => times > 1)).toEqual([])
    expect(client.counters).toMatchObject({ retried: 0 })
    expect(client.counters.deadBeforeReuse).toBeGreaterThan(0)
    // What the server closed while a request was on its way is the program's to decide on.
    const failed = Object.values(client.errors).reduce((sum, count) => sum + count, 0)
    expect(client.answered + failed).toBe(requests)
    expect(server.requests).toBeGreaterThanOrEqual(client.answered)
  })

  it('is not noticed by GETs over TLS through TunedHttpsAgent', async () => {
    const requests = Math.min(REQUESTS, 5_000)
    const certificate = makeCertificate()
    const { client } = await race(namespace(), { requests, certificate })
    expect(client).toMatchObject({ answered: requests, errors: {} })
    expect(client.counters.retried).toBeGreaterThan(0)
  })

  it('gets no POST twice over TLS from TunedHttpsAgent', async () => {
    const certificate = makeCertificate()
    const task = { requests: Math.min(REQUESTS, 3_000), method: 'POST', certificate } as const
    const { client, server } = await race(namespace(), task)
    expect(Object.values(server.ids).filter((times) => times > 1)).toEqual([])
    expect(client.counters).toMatchObject({ retried: 0 })
  })
})

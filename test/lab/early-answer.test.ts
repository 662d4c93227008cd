import { makeCertificate } from '../helpers/certificate'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import { steadyNode } from '../helpers/program'
import { size } from '../helpers/size'
import { until } from '../helpers/until'

const UPLOADS = size('EARLY_ANSWERS')
const BYTES = 20_000_000

interface Uploads {
  whole: number
  cut: number
  errors: Record<string, number>
}

interface Seen {
  requests: number
  /** The number of connections by the way in which they ended. */
  ends: Record<string, number>
  warnings: string[]
  counters?: { closes: Record<string, number>; lingering: number; evicted: number }
  descriptors: number
}

/** Bytes. */
interface Memory {
  heap: number
  all: number
}

describe.each(['http', 'https'] as const)('over %s', (protocol) => {
  labDescribe(
    'an answer of 413 to a client that reads it after its upload of 20 MB',
    ['root', 'ip', 'openssl'],
    () => {
      const namespace = useNamespace()

      /** Queries the server once each of its closes has ended. */
      async function upload(
        way: string,
        uploads: number,
        isOver: (seen: Seen) => boolean = () => true,
      ): Promise<{ client: Uploads; seen: Seen }> {
        const secured = protocol === 'https' ? makeCertificate() : undefined
        const { server, port } = await namespace().serve('early-http-server', { way, tls: secured })
        const task = { port, uploads, atATime: 4, bytes: BYTES, ca: secured?.cert }
        const client = (await namespace().perform('http-upload-client', task)) as Uploads
        const seen = await until(
          'the server has seen the end of each close',
          async () => (await server.ask('seen')) as Seen,
          isOver,
        )
        await server.stop()
        return { client, seen }
      }

      it(`arrives completely ${String(UPLOADS)} times with answerEarly()`, async () => {
        const { client, seen } = await upload(
          'answerEarly',
          UPLOADS,
          ({ ends }) => sum(ends) === UPLOADS,
        )
        expect(client).toEqual({ whole: UPLOADS, cut: 0, errors: {} })
        expect(seen).toMatchObject({ ends: { lingering: UPLOADS }, warnings: [] })
      })

      it("arrives completely each time with tuneServer({ close: 'lingering' })", async () => {
        const { client, seen } = await upload(
          'standing',
          50,
          ({ counters }) => sum(counters?.closes ?? {}) === 50,
        )
        expect(client).toEqual({ whole: 50, cut: 0, errors: {} })
        expect(seen.counters).toMatchObject({ closes: { lingering: 50 }, evicted: 0 })
      })

      it("is lost with Node's own close", async () => {
        const { client } = await upload('plain', 50)
        expect(client.cut).toBeGreaterThan(0)
      })
    },
  )
})

labDescribe('10,000 clients that never finish their upload', ['root', 'ip'], () => {
  const CLIENTS = 10_000
  const LINGERING = 100
  const namespace = useNamespace()

  it('are closed, so that at most maxLingering remain and memory does not grow', async () => {
    const options = { maxLingering: LINGERING, idleMs: 120_000, deadlineMs: 240_000 }
    const config = { way: 'standing', options }
    const { server, port } = await namespace().serve('early-http-server', config, steadyNode)
    const ask = async () => (await server.ask('seen')) as Seen
    const warmUp = await namespace().start('slow-upload-clients', { port, clients: 2_000 })
    await warmUp.program.ask('run')
    await warmUp.program.stop()
    const memory = async () => (await server.ask('memory')) as Memory
    const before = await memory()
    const { program } = await namespace().start('slow-upload-clients', { port, clients: CLIENTS })
    await program.ask('run')
    const after = await until('all were answered', ask, ({ requests, counters }) => {
      const lingering = counters?.lingering ?? 0
      return requests === CLIENTS + 2_000 && lingering <= LINGERING
    })
    expect(after.counters?.lingering).toBe(LINGERING)
    expect(after.counters?.evicted).toBeGreaterThanOrEqual(CLIENTS - LINGERING)
    expect(after.warnings).toEqual(['SOCKET_TUNER_LINGERING_LIMIT'])
    expect(after.descriptors).toBeLessThan(LINGERING + 50)
    const left = await memory()
    expect(left.heap - before.heap).toBeLessThan(8 * 2 ** 20)
    // Ten thousand sockets in JavaScript would need some hundred megabytes. The process may keep the memory of those
    // that were open at the same time.
    expect(left.all - before.all).toBeLessThan(64 * 2 ** 20)
    await program.stop()
    await server.stop()
  })
})

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

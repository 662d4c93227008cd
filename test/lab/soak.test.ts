/**
 * Very many connections through one server and one client, with mode changes, restarts of the server and
 * resets among them. test/sizes.json has their number; 1,000,000 take some minutes.
 */
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import { steadyNode, type Program } from '../helpers/program'
import { size } from '../helpers/size'
import { until } from '../helpers/until'

/** As in programs/sizes.js. */
const REQUEST = 64
const ANSWER = 1000
const PARTING = 256
/** Of programs/soak-kinds.js, those whose last word the server must have. */
const partingKinds = ['deliver', 'policy', 'fin', 'lingering'] as const

const CONNECTIONS = size('SOAK_CONNECTIONS')
const AT_A_TIME = 64
const RESTARTS = 10
/** Bytes of heap; 200 that each connection of the shortest run left behind are more. */
const GROWTH = 10_000_000
const WHOLE_MS = 1_500_000

interface Resources {
  descriptors: number
  heapUsed: number
  ownMemory: number
  cpuSeconds: number
}

interface ClientSeen {
  completed: Record<string, number>
  answers: Record<string, number>
  timeWaitsHere: number
  reports: Record<string, number>
  discardedBytes: number
  failures: Record<string, number>
  done: number
  isOver: boolean
  warnings: string[]
}

interface ServerSeen {
  served: Record<string, number>
  bytes: Record<string, number>
  open: number
  restarts: number
  discardedBytes: number
}

labDescribe(`${String(CONNECTIONS)} connections`, ['root', 'ip'], () => {
  const namespace = useNamespace()
  let server: Program
  let client: Program
  let before: { server: Resources; client: Resources }
  let after: { server: Resources; client: Resources }
  let sent: ClientSeen
  let served: ServerSeen

  const resourcesOf = async (program: Program): Promise<Resources> =>
    (await program.ask('resources')) as Resources
  const both = async (): Promise<typeof before> => ({
    server: await resourcesOf(server),
    client: await resourcesOf(client),
  })
  const progress = async (): Promise<ClientSeen> => (await client.ask('seen')) as ClientSeen

  beforeAll(async () => {
    const started = performance.now()
    const { server: listening, port } = await namespace().serve('soak-server', {}, steadyNode)
    server = listening
    const config = { port, connections: CONNECTIONS, atATime: AT_A_TIME }
    client = (await namespace().start('soak-client', config, steadyNode)).program
    const idle = await both()
    await client.ask('start')
    for (let restart = 1; restart <= RESTARTS; restart++) {
      const share = (CONNECTIONS * restart) / (RESTARTS + 1)
      await until('the next restart', progress, ({ done }) => done >= share, WHOLE_MS)
      await server.ask('restart')
      // What a warm process holds, with the caches that it fills once.
      if (restart === 2) before = await both()
    }
    sent = await until('the end', progress, ({ isOver }) => isOver, WHOLE_MS)
    served = await until(
      'the server has closed all connections',
      async () => (await server.ask('seen')) as ServerSeen,
      ({ open }) => open === 0,
    )
    after = await both()
    before.server.descriptors = idle.server.descriptors
    before.client.descriptors = idle.client.descriptors
    const seconds = (performance.now() - started) / 1000
    process.stdout.write(
      `${String(CONNECTIONS)} connections in ${seconds.toFixed(1)} s, ` +
        `${(CONNECTIONS / seconds).toFixed(0)} a second\n` +
        `${JSON.stringify({ sent, served, before, after }, undefined, 1)}\n`,
    )
  }, WHOLE_MS)

  it('are all served, and none twice', () => {
    expect(sent.done).toBe(CONNECTIONS)
    const { refused: resetByServer = 0, ...others } = served.served
    const { refused: seenReset = 0, ...completed } = sent.completed
    expect(others).toEqual(completed)
    // To a client the RST of a listening socket that is closed looks the same.
    expect(resetByServer).toBeLessThanOrEqual(seenReset)
    expect(resetByServer).toBeGreaterThan(0)
    expect(served.restarts).toBe(RESTARTS)
  })

  it('lose no byte', () => {
    for (const kind of partingKinds) {
      const count = sent.completed[kind] ?? 0
      expect(count).toBeGreaterThan(0)
      expect(sent.answers[kind]).toBe(count * ANSWER)
      expect(served.bytes[kind]).toBe(count * (REQUEST + PARTING))
    }
    expect(sent.answers.server).toBe((sent.completed.server ?? 0) * ANSWER)
    expect(sent.discardedBytes).toBe(0)
    expect(served.discardedBytes).toBe(0)
    expect(sent.warnings).toEqual([])
  })

  it('fail only where the server was being restarted', () => {
    expect(
      Object.keys(sent.failures).filter((failure) => !failure.endsWith('before the answer')),
    ).toEqual([])
  })

  it("leave TIME_WAIT only where 'fin' and 'lingering' were asked for", async () => {
    const { fin = 0, lingering = 0 } = sent.completed
    expect(sent.timeWaitsHere).toBe(fin + lingering)
    expect(await namespace().timeWaitsMade()).toBe(fin + lingering)
  })

  it('leave no descriptor and no memory behind', () => {
    for (const end of ['server', 'client'] as const) {
      expect(after[end].descriptors).toBe(before[end].descriptors)
      expect(after[end].heapUsed).toBeLessThan(before[end].heapUsed + GROWTH)
      expect(after[end].ownMemory).toBeLessThan(before[end].ownMemory + 5 * GROWTH)
    }
  })
})

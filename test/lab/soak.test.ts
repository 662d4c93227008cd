/**
 * Runs many connections between one server and one client, with changes of the mode, restarts of the server and resets.
 * test/sizes.json has their number; 1,000,000 take some minutes.
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
/** The kinds of programs/soak-kinds.js whose last message the server must receive. */
const partingKinds = ['deliver', 'policy', 'ended', 'fin', 'lingering'] as const

const CONNECTIONS = size('SOAK_CONNECTIONS')
const AT_A_TIME = 64
const RESTARTS = 10
/** The allowed growth of the heap, bytes. A leak of 200 bytes per connection in the shortest run exceeds it. */
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
      // The resources of a process after it has filled its caches.
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

  it('are all served exactly once', () => {
    expect(sent.done).toBe(CONNECTIONS)
    const { refused: resetByServer = 0, ...others } = served.served
    const { refused: seenReset = 0, ...completed } = sent.completed
    expect(others).toEqual(completed)
    // A client cannot distinguish it from the RST of a closed listening socket.
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

  it('fail only while the server restarts', () => {
    expect(
      Object.keys(sent.failures).filter((failure) => !failure.endsWith('before the answer')),
    ).toEqual([])
  })

  it("leave TIME_WAIT only in modes 'fin' and 'lingering'", async () => {
    const { fin = 0, lingering = 0 } = sent.completed
    expect(sent.timeWaitsHere).toBe(fin + lingering)
    expect(await namespace().timeWaitsMade()).toBe(fin + lingering)
  })

  it('leave no descriptor open and leak no memory', () => {
    for (const end of ['server', 'client'] as const) {
      expect(after[end].descriptors).toBe(before[end].descriptors)
      expect(after[end].heapUsed).toBeLessThan(before[end].heapUsed + GROWTH)
      expect(after[end].ownMemory).toBeLessThan(before[end].ownMemory + 5 * GROWTH)
    }
  })
})

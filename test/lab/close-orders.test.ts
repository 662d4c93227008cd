/**
 * Compares the report of each close with the kernel's table, for the orders in which two processes can write to, end and
 * close a connection. SCHEDULES_SEED repeats a run.
 */
import { randomInt } from 'node:crypto'
import fc from 'fast-check'
import type { CloseModeName, CloseReport, TimeWait } from '../../lib'
import { makeCertificate } from '../helpers/certificate'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import type { Program } from '../helpers/program'
import { size } from '../helpers/size'
import { stateOf, type State } from '../helpers/tcp-table'
import { until } from '../helpers/until'

const seed = Number(process.env.SCHEDULES_SEED ?? randomInt(2 ** 30))
const RUNS = size('CLOSE_ORDERS')
const LANES = 6

type Who = 'closer' | 'peer'
type Step = 'write' | 'end'

interface Order {
  /** `tls over tcp`: the closer's mode is set on a plain socket before the programs put TLS over the connection. */
  transport: 'tcp' | 'tls' | 'tls over tcp'
  version: 'TLSv1.2' | 'TLSv1.3'
  closer: 'client' | 'server'
  /** Whether the program that closes also reads. */
  reads: boolean
  before: { who: Who; step: Step }[]
  mode: CloseModeName
  /**
   * How the closer closes: by closeSocket(), or by a method of the stream under a standing mode. `endCloses` is
   * end() with `onEnd: 'close'`.
   */
  how: 'closeSocket' | 'destroy' | 'destroySoon' | 'end' | 'endCloses'
  peerEnds: 'end' | 'destroy' | 'reset'
}

const order: fc.Arbitrary<Order> = fc.record({
  transport: fc.constantFrom('tcp', 'tcp', 'tls', 'tls over tcp'),
  version: fc.constantFrom('TLSv1.2', 'TLSv1.3'),
  closer: fc.constantFrom('client', 'server'),
  reads: fc.boolean(),
  before: fc.array(
    fc.record({
      who: fc.constantFrom<Who>('closer', 'peer'),
      step: fc.constantFrom<Step>('write', 'end'),
    }),
    { maxLength: 4 },
  ),
  mode: fc.constantFrom('fin', 'deliver', 'deliver', 'lingering', 'reset'),
  how: fc.constantFrom('closeSocket', 'closeSocket', 'destroy', 'destroySoon', 'end', 'endCloses'),
  peerEnds: fc.constantFrom('end', 'destroy', 'reset'),
})

interface Seen {
  timeWait: TimeWait
  mode: CloseModeName
  fallback: string | undefined
  here: State | undefined
  there: State | undefined
}

labDescribe('the TIME_WAIT in the report of a close', ['root', 'ip', 'openssl'], () => {
  const namespace = useNamespace()
  let server: Program
  let client: Program
  let ports: { tcp: number; tls: number }
  let lastId = 0

  beforeAll(async () => {
    process.stdout.write(`SCHEDULES_SEED=${String(seed)}\n`)
    const certificate = makeCertificate()
    const started = await namespace().start('close-orders', { certificate })
    server = started.program
    ports = started.ready as typeof ports
    client = (await namespace().start('close-orders', { certificate, ports })).program
  })

  /** Resolves when the kernels of both ends have received everything that was sent so far. */
  async function settled(id: number): Promise<void> {
    await until(
      'everything is acknowledged',
      async () => [
        await client.ask('unacknowledged', { id }),
        await server.ask('unacknowledged', { id }),
      ],
      (counts) => counts.every((count) => count === 0),
    )
  }

  async function play({ transport, version, ...order }: Order): Promise<Seen> {
    const id = ++lastId
    const isOverlaid = transport === 'tls over tcp'
    const port = ports[isOverlaid ? 'tcp' : transport]
    const clientPort = (await client.ask('open', { id, port, transport, version })) as number
    await until(
      'the server has accepted',
      () => server.ask('accepted', { id, port, clientPort }),
      (accepted) => accepted === true,
    )
    const [closer, peer] = order.closer === 'client' ? [client, server] : [server, client]
    const of = (who: Who): Program => (who === 'closer' ? closer : peer)
    const mode = order.how === 'closeSocket' ? null : order.mode
    const onEnd = order.how === 'endCloses' ? 'close' : 'half-close'
    await closer.ask('stand', { id, mode, onEnd })
    if (isOverlaid) {
      await Promise.all([
        client.ask('overlay', { id, version }),
        server.ask('overlay', { id, version }),
      ])
    }
    // The mode of the socket below does not hold for the TLS socket.
    const how = isOverlaid && order.how === 'endCloses' ? 'end' : order.how
    await peer.ask('step', { id, name: 'read' })
    if (order.reads) await closer.ask('step', { id, name: 'read' })
    const ended = new Set<Who>()
    for (const { who, step } of order.before) {
      if (ended.has(who)) continue
      // That would be the close itself.
      if (how === 'endCloses' && who === 'closer' && step === 'end') continue
      if (step === 'end') ended.add(who)
      await of(who).ask('step', { id, name: step })
      await settled(id)
    }
    if (order.how === 'closeSocket') {
      const options = { mode: order.mode, idleMs: 30_000 }
      await closer.ask('close', { id, options })
    } else {
      await closer.ask('step', { id, name: how })
    }
    await settled(id)
    await peer.ask('step', { id, name: order.peerEnds })
    if (order.peerEnds === 'end' || transport !== 'tcp') {
      // Its end is destroyed when both have ended, unless the closer waits for more.
      await settled(id)
    }
    if (how === 'end') await closer.ask('step', { id, name: 'read' })
    await until(
      'the closer has closed',
      () => closer.ask('isClosed', { id }),
      (closed) => closed === true,
    )
    const seen = await reportOf(closer, order, id)
    await peer.ask('step', { id, name: 'destroy' })
    const here = await left(order.closer === 'client', clientPort, port)
    const there = await left(order.closer !== 'client', clientPort, port)
    await Promise.all([client.ask('forget', { id }), server.ask('forget', { id })])
    return { ...seen, here, there }
  }

  async function reportOf(
    closer: Program,
    { how }: Pick<Order, 'how'>,
    id: number,
  ): Promise<Pick<Seen, 'timeWait' | 'mode' | 'fallback'>> {
    if (how === 'closeSocket') {
      const { timeWait, mode, fallback } = (await closer.ask('report', { id })) as CloseReport
      return { timeWait, mode, fallback: fallback?.code }
    }
    const [outcome] = (await until(
      'an outcome',
      () => closer.ask('outcomes', { id }) as Promise<CloseReport[]>,
      (outcomes) => outcomes.length > 0,
    )) as [CloseReport]
    return { timeWait: outcome.timeWait, mode: outcome.mode, fallback: outcome.fallback?.code }
  }

  /** Returns the state that is left at one end once the connection has ended there. */
  async function left(
    atClient: boolean,
    clientPort: number,
    serverPort: number,
  ): Promise<State | undefined> {
    const [localPort, remotePort] = atClient ? [clientPort, serverPort] : [serverPort, clientPort]
    return until(
      'the connection is over',
      async () => stateOf((await client.ask('table')) as string, { localPort, remotePort }),
      (state) => state === undefined || state === 'TIME_WAIT',
    )
  }

  it("agrees with the kernel's table", async () => {
    const counts: Record<string, number> = {}
    const property = fc.asyncProperty(order, async (order) => {
      const seen = await play(order)
      const fault = faultOf(order, seen)
      if (fault !== undefined) throw new Error(`${fault}: ${JSON.stringify(seen)}`)
      const kind = `${order.mode} by ${order.how}: ${seen.mode}, ${seen.timeWait}`
      counts[kind] = (counts[kind] ?? 0) + 1
    })
    const numRuns = Math.ceil(RUNS / LANES)
    await Promise.all(
      Array.from({ length: LANES }, (_, lane) =>
        fc.assert(property, { numRuns, seed: seed + lane, endOnFailure: true }),
      ),
    )
    for (const [kind, count] of Object.entries(counts).sort())
      process.stdout.write(`${kind}: ${String(count)}\n`)
  })
})

/** Whether both sides of TLS have ended: the peer's close_notify then arrives before its FIN. */
function isFinOnItsWay({ transport, before, how, peerEnds }: Order): boolean {
  const isEnded = how === 'end' || (how === 'endCloses' && transport === 'tls over tcp')
  const ends = (who: Who): boolean => before.some((one) => one.who === who && one.step === 'end')
  const peerHasEnded = ends('peer') || peerEnds !== 'reset'
  return transport !== 'tcp' && peerHasEnded && (ends('closer') || isEnded)
}

/**
 * Whether the close_notify of the peer finds a closed socket, whose kernel answers by a RST. The mode of a plain socket does
 * not wait for TLS over it.
 */
function isAnsweredByReset({ transport, how }: Order): boolean {
  return transport === 'tls over tcp' && (how === 'destroy' || how === 'destroySoon')
}

function faultOf(
  order: Order,
  { timeWait, mode, fallback, here, there }: Seen,
): string | undefined {
  // Node had already closed it without a mode, so its close was not observed.
  if (fallback === 'destroyed') return undefined
  const isHere = here === 'TIME_WAIT'
  // No report can know that the peer will later reset a connection that is already closed here.
  if (timeWait === 'here' && !isHere && (order.peerEnds === 'reset' || isAnsweredByReset(order)))
    return undefined
  if (timeWait !== 'unknown' && isHere !== (timeWait === 'here'))
    return 'TIME_WAIT is not where the report says'
  if (timeWait === 'unknown') {
    return isFinOnItsWay(order) ? undefined : 'the report does not say where TIME_WAIT is'
  }
  if (timeWait === 'peer' && there !== 'TIME_WAIT' && order.peerEnds !== 'reset') {
    return 'the peer has no TIME_WAIT'
  }
  if (timeWait === 'avoided' && there === 'TIME_WAIT') return 'the peer has TIME_WAIT'
  if (isHere && (mode === 'deliver' || mode === 'reset')) return 'the mode leaves no TIME_WAIT'
  return undefined
}

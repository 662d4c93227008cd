/** Reads the kernel's figures of a run: counters, ports and samples of TCP_INFO. */
import { setTimeout as delay } from 'node:timers/promises'
import { portWaitTotals } from '../connect/port-queue'
import { contentOf, type PortRange } from '../kernel/proc'
import { portBudget, type PortBudget } from '../ports/budget'
import type { PortFigures } from './part'
import { stressCounters, type StressCounter, type StressKernel } from './result'
import type { Wire } from './wire'

export type CounterValues = Partial<Record<StressCounter, number>>

/** The counters of this network namespace: proc_pid_net(5). */
export function readCounters(read: (file: string) => string = contentOf): CounterValues {
  const text = `${read('/proc/net/snmp')}\n${read('/proc/net/netstat')}`
  const found = new Map<string, number>()
  const lines = text.split('\n')
  lines.forEach((line, index) => {
    const names = line.split(' ')
    const values = lines[index + 1]?.split(' ') ?? []
    // A line of names, then a line of values, both with the name of their group.
    if (!/^(Tcp|TcpExt):$/.test(names[0] ?? '') || values[0] !== names[0]) return
    if (!/^-?\d+$/.test(values[1] ?? '')) return
    names.forEach((name, at) => found.set(name, Number(values[at])))
  })
  return Object.fromEntries(
    stressCounters.flatMap((name) => {
      const value = found.get(name)
      return value === undefined || Number.isNaN(value) ? [] : [[name, value]]
    }),
  )
}

/** Changes of the counters. A counter that could not be read is null. */
export function counterChanges(
  before: CounterValues,
  after: CounterValues,
): StressKernel['counters'] {
  return Object.fromEntries(
    stressCounters.map((name) => {
      const [from, to] = [before[name], after[name]]
      return [name, from === undefined || to === undefined ? null : to - from]
    }),
  ) as Record<StressCounter, number | null>
}

/** The ports towards the target, of all source addresses together. */
export interface PortState {
  readonly timeWait: number
  /** Ports of connections that are being closed and are not in TIME_WAIT yet. */
  readonly closing: number
  readonly free: number
  /** The number of ports, used or not. */
  readonly ports: number
  readonly sustainableRate: number
  readonly heldSeconds: number
  readonly secondsUntilExhaustion: number | null
}

export interface PortPlace {
  readonly address: string
  readonly port: number
  /** Empty if the kernel chooses the source. */
  readonly sources: readonly string[]
  readonly portRange: PortRange | undefined
}

/** The most source addresses whose ports are counted. */
const MOST_SOURCES = 64
const CLOSING = ['FIN_WAIT1', 'FIN_WAIT2', 'CLOSING', 'LAST_ACK'] as const

/** Returns undefined where the ports cannot be counted. */
export async function readPorts(place: PortPlace): Promise<PortState | undefined> {
  const { address, port, portRange } = place
  const sources = place.sources.length === 0 ? [undefined] : place.sources.slice(0, MOST_SOURCES)
  try {
    const budgets: PortBudget[] = []
    for (const localAddress of sources)
      budgets.push(
        await portBudget({ remoteAddress: address, remotePort: port, localAddress, portRange }),
      )
    return sumOf(budgets)
  } catch {
    return undefined
  }
}

function sumOf(budgets: readonly PortBudget[]): PortState {
  const sum = (of: (budget: PortBudget) => number): number =>
    budgets.reduce((before, budget) => before + of(budget), 0)
  const ends = budgets.map(({ secondsUntilExhaustion }) => secondsUntilExhaustion ?? Infinity)
  const last = Math.max(...ends)
  return {
    timeWait: sum(({ timeWait }) => timeWait),
    closing: sum(({ byState }) => CLOSING.reduce((n, state) => n + (byState[state] ?? 0), 0)),
    free: sum(({ available }) => available),
    ports: sum(({ ports }) => ports),
    sustainableRate: sum(({ sustainableRate }) => sustainableRate),
    heldSeconds: budgets[0]?.heldSeconds ?? 0,
    secondsUntilExhaustion: last === Infinity ? null : last,
  }
}

/** The longest wait for the last FINs before the ports are counted, ms. */
const SETTLE_MS = 2_000
const SETTLE_PAUSE_MS = 20

/** Counts the ports when the kernel has closed the connections. */
export async function settledPorts(place: PortPlace): Promise<PortState | undefined> {
  const end = performance.now() + SETTLE_MS
  for (;;) {
    const ports = await readPorts(place)
    if (ports === undefined || ports.closing === 0 || performance.now() > end) return ports
    await delay(SETTLE_PAUSE_MS)
  }
}

/** The state of the ports during a run, as it was last read. */
export class RunPorts {
  readonly #place: PortPlace
  #state: PortState | undefined
  #isReading = false

  /** @param state the first one; undefined where the ports cannot be counted, which is not tried again */
  constructor(place: PortPlace, state: PortState | undefined) {
    this.#place = place
    this.#state = state
  }

  get figures(): PortFigures {
    const state = this.#state
    return {
      timeWait: state?.timeWait ?? null,
      portsFree: state?.free ?? null,
      secondsUntilExhaustion: state?.secondsUntilExhaustion ?? null,
    }
  }

  /** Begins to read the state, unless it is being read. */
  refresh(): void {
    if (this.#isReading || this.#state === undefined) return
    this.#isReading = true
    void readPorts(this.#place).then((read) => {
      this.#isReading = false
      if (read !== undefined) this.#state = read
    })
  }
}

/** At most one sample in this time: each is a system call. */
const SAMPLE_MS = 5

/** Reads TCP_INFO of some connections. */
export class TcpSamples {
  #nextMs = 0
  #count = 0
  #retransmits = 0
  #minRttMicroseconds = Infinity

  readonly take = (wire: Pick<Wire, 'info'>, nowMs: number): void => {
    if (nowMs < this.#nextMs) return
    this.#nextMs = nowMs + SAMPLE_MS
    try {
      const { minRtt, totalRetrans } = wire.info()
      this.#count++
      this.#retransmits += totalRetrans ?? 0
      // The kernel has 2^32 - 1 before the first sample.
      if (minRtt !== undefined && minRtt < 2 ** 32 - 1)
        this.#minRttMicroseconds = Math.min(this.#minRttMicroseconds, minRtt)
    } catch {
      // Already closed, or of a platform without TCP_INFO.
    }
  }

  get result(): Pick<StressKernel, 'minRttMs' | 'sampledRetransmits' | 'sampledConnections'> {
    const least = this.#minRttMicroseconds
    return {
      minRttMs: least === Infinity ? null : least / 1000,
      sampledRetransmits: this.#retransmits,
      sampledConnections: this.#count,
    }
  }
}

/** Connections of this thread that have waited for a port so far. */
export function portWaitsSoFar(): number {
  const { waiting, served, expired, abandoned } = portWaitTotals()
  return waiting + served + expired + abandoned
}

/** What will run out in a run, as far as it can be known before. */
import { closeModes } from '../close/modes'
import { contentOf, timestampsSetting } from '../kernel/proc'
import { readPorts, type PortPlace, type PortState } from './kernel-watch'
import type { StressPlan } from './result'

export interface StressFinding {
  readonly code: 'descriptors' | 'ports' | 'time-wait' | 'timestamps'
  /** `error`: connections will fail. `warning`: they may. */
  readonly severity: 'error' | 'warning'
  /** What will run out and when, and what prevents it. */
  readonly message: string
}

/** The facts behind the findings. Undefined where a fact is not known. */
export interface PreflightFacts {
  readonly plan: StressPlan
  /** The most descriptors that this process may have. */
  readonly descriptors: number | undefined
  readonly ports: PortState | undefined
  /** net.ipv4.tcp_timestamps. */
  readonly timestamps: number | undefined
}

/** Descriptors of a Node process that has no connection. */
const OWN_DESCRIPTORS = 64

export async function preflightOf(plan: StressPlan, place: PortPlace): Promise<StressFinding[]> {
  return findingsBefore({
    plan,
    descriptors: descriptorLimit(),
    ports: await readPorts(place),
    timestamps: timestampsSetting(),
  })
}

/** The soft limit of RLIMIT_NOFILE: proc_pid_limits(5). Undefined without /proc. */
export function descriptorLimit(read: (file: string) => string = contentOf): number | undefined {
  const found = /^Max open files\s+(\d+)/m.exec(read('/proc/self/limits'))?.[1]
  return found === undefined ? undefined : Number(found)
}

/** A pure function. */
export function findingsBefore(facts: PreflightFacts): StressFinding[] {
  return [descriptors(facts), ports(facts), timeWait(facts), timestamps(facts)].filter(
    (finding) => finding !== undefined,
  )
}

function descriptors({ plan, descriptors: most }: PreflightFacts): StressFinding | undefined {
  const connections = Math.ceil(plan.connections / plan.workers)
  const needed = connections + OWN_DESCRIPTORS
  if (most === undefined || needed <= most) return undefined
  const where = plan.workers === 1 ? 'this process' : 'each worker'
  return {
    code: 'descriptors',
    severity: 'error',
    message: `${n(connections)} connections need about ${n(needed)} descriptors, and ${where} may have ${n(most)} (RLIMIT_NOFILE). Raise the limit: ulimit -n ${String(needed)}`,
  }
}

function ports({ plan, ports: state }: PreflightFacts): StressFinding | undefined {
  if (state === undefined || plan.connections <= state.free) return undefined
  const perSource = state.ports / Math.max(1, plan.sources.length)
  const sources = Math.ceil(plan.connections / Math.max(1, perSource))
  const fix =
    sources > Math.max(1, plan.sources.length)
      ? `Use ${n(sources)} source addresses (source)`
      : 'Wait until the others are free again, use another source address (source)'
  return {
    code: 'ports',
    severity: 'error',
    message: `${n(plan.connections)} connections need a port each, and ${n(state.free)} are free towards the target. ${fix}, or widen net.ipv4.ip_local_port_range.`,
  }
}

function timeWait({ plan, ports: state }: PreflightFacts): StressFinding | undefined {
  if (state === undefined || !leavesTimeWait(plan)) return undefined
  const fix =
    "Use close 'deliver', which leaves none, more source addresses (source), or more requests per connection."
  const pace = plan.connectionsPerSecond ?? Infinity
  if (pace <= state.sustainableRate) return undefined
  const held = `Each close leaves a port in TIME_WAIT for ${n(state.heldSeconds)} s`
  if (plan.ratePerSecond === null) {
    const most = (plan.amount ?? Infinity) / (plan.requestsPerConnection ?? 1)
    if (most <= state.free) return undefined
    return {
      code: 'time-wait',
      severity: 'warning',
      message: `${held}. After ${n(state.free)} more connections, or at more than ${n(state.sustainableRate)} per second, connect() becomes slow and then finds no port. ${fix}`,
    }
  }
  const rate = Math.min(pace, plan.ratePerSecond / (plan.requestsPerConnection ?? Infinity))
  const seconds = ((plan.durationMs ?? Infinity) + plan.warmupMs) / 1000
  const total = Math.min(seconds, (plan.amount ?? Infinity) / plan.ratePerSecond)
  const untilNone = state.free / rate
  if (rate <= state.sustainableRate || untilNone >= Math.min(total, state.heldSeconds))
    return undefined
  return {
    code: 'time-wait',
    severity: 'error',
    message: `${held}. At ${n(rate)} connections per second the ${n(state.free)} free ports are used up after ${n(untilNone)} s. ${fix}`,
  }
}

/** Whether connections that this side closes keep their port. */
function leavesTimeWait({ close, requestsPerConnection }: StressPlan): boolean {
  if (requestsPerConnection === null || !Object.hasOwn(closeModes, close)) return false
  return closeModes[close as keyof typeof closeModes].keepsTimeWait
}

function timestamps({ plan, timestamps: setting }: PreflightFacts): StressFinding | undefined {
  if (setting !== 0 || !Object.hasOwn(closeModes, plan.close) || leavesTimeWait(plan))
    return undefined
  return {
    code: 'timestamps',
    severity: 'warning',
    message: `Without TCP timestamps (net.ipv4.tcp_timestamps is 0) close mode '${plan.close}' becomes 'fin' and leaves TIME_WAIT. Set net.ipv4.tcp_timestamps=1 on both ends.`,
  }
}

function n(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

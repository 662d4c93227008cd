/** Judges whether the generator, and not the target, limited a run. */
import type { StressError, StressLimit, StressResult } from './result'

export type Judged = Pick<
  StressResult,
  'plan' | 'generator' | 'latency' | 'phases' | 'errors' | 'requests'
>

/** A closed loop whose event loop is busier than this has no reserve, and measures itself. */
export const MOST_BUSY = 0.97
/** Starts that are this late do not matter, ms. */
const TOLERATED_LAG_MS = 2
/** Delays of the event loop that do not matter, ms. */
const TOLERATED_DELAY_MS = 10
/** Delays that do not matter either, as a share of the latency. */
const TOLERATED_SHARE = 0.1
/** A connect() of this median searches for its port: with free ports it takes 20 µs. */
const SLOW_CONNECT_MS = 0.2
/** The fewest calls to judge by. */
const FEWEST_CONNECTS = 100

export const noDescriptor = ['EMFILE', 'ENFILE']
export const noPort = ['EADDRNOTAVAIL', 'EADDRINUSE']
export const noSource = ['SOURCE_UNAVAILABLE']

/** Returns why the run is not valid; empty if it is. */
export function limitsOf(run: Judged): StressLimit[] {
  return [
    busyLoop(run),
    lateSends(run),
    unsent(run),
    ports(run),
    descriptors(run),
    sources(run),
    slow(run),
  ].filter((limit) => limit !== undefined)
}

function busyLoop({ plan, generator, latency }: Judged): StressLimit | undefined {
  // An open loop spends its spare time in turns of the event loop. Its lag shows what matters.
  if (plan.loop === 'open') return undefined
  const { p99 } = generator.eventLoopDelayMs
  if (p99 > TOLERATED_DELAY_MS && p99 > TOLERATED_SHARE * latency.percentilesMs.p99)
    return {
      code: 'event-loop',
      message: `The event loop of the generator was delayed by ${p99.toFixed(1)} ms (99th percentile), which is in the latencies. Stop other programs, run the target on another machine, or use fewer connections.`,
    }
  if (generator.eventLoopBusy <= MOST_BUSY) return undefined
  const percent = (100 * generator.eventLoopBusy).toFixed(0)
  return {
    code: 'event-loop',
    message: `The event loop of the generator was busy ${percent} % of the time: the rate is the limit of the generator, and its delays are in the latencies. Use fewer connections, a lower rate, or more workers.`,
  }
}

function lateSends({ plan, generator, latency }: Judged): StressLimit | undefined {
  const { p99 } = generator.lag.percentilesMs
  if (plan.loop === 'closed' || p99 <= TOLERATED_LAG_MS) return undefined
  if (p99 <= TOLERATED_SHARE * latency.percentilesMs.p99) return undefined
  return {
    code: 'late-sends',
    message: `1 % of the requests were started ${p99.toFixed(1)} ms late or more, because the generator was busy. Use a lower rate or more workers, and run the target on another machine.`,
  }
}

function unsent({ requests, plan }: Judged): StressLimit | undefined {
  if (requests.unsent === 0) return undefined
  const options =
    plan.connectionsPerSecond === null ? 'connections' : 'connections or connectionsPerSecond'
  return {
    code: 'unsent',
    message: `${String(requests.unsent)} requests that were due found no free connection until the end. Raise ${options}, or lower the rate.`,
  }
}

function ports({ errors }: Judged): StressLimit | undefined {
  const count = connectErrors(errors, noPort)
  if (count === 0) return undefined
  return {
    code: 'ports',
    message: `${String(count)} connections found no free port here. Close by 'deliver', use more source addresses, or wait for a port (portWaitMs).`,
  }
}

function descriptors({ errors }: Judged): StressLimit | undefined {
  const count = connectErrors(errors, noDescriptor)
  if (count === 0) return undefined
  return {
    code: 'descriptors',
    message: `${String(count)} connections found no free descriptor here. Raise 'ulimit -n', or use fewer connections.`,
  }
}

function sources({ errors }: Judged): StressLimit | undefined {
  const count = connectErrors(errors, noSource)
  if (count === 0) return undefined
  return {
    code: 'sources',
    message: `${String(count)} connections found their source address gone from this host. Restore it, or leave it out (source).`,
  }
}

function slow({ phases: { connectCall } }: Judged): StressLimit | undefined {
  const { p50 } = connectCall.percentilesMs
  if (connectCall.count < FEWEST_CONNECTS || p50 <= SLOW_CONNECT_MS) return undefined
  return {
    code: 'slow-connect',
    message: `Half of the calls of connect() held the event loop for ${(1000 * p50).toFixed(0)} µs or more, in the search for a free port. Close by 'deliver', or use more source addresses.`,
  }
}

/** The number of connections that failed by one of the codes. */
export function connectErrors(errors: readonly StressError[], codes: readonly string[]): number {
  return errors
    .filter(({ code, phase }) => phase === 'connect' && codes.includes(code))
    .reduce((sum, { count }) => sum + count, 0)
}

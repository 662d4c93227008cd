/** The shutdown of a tuned server. */
import type * as net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { ArgumentValueError } from '../errors'
import { MAX_INT32, abortSignal, boolean, spec, whole, type InputOf } from '../spec'
import { retirementOf, type EndPlan } from './retirement'

/** `docker stop` kills after 10 s. */
export const DEFAULT_SHUTDOWN_MS = 8_000

export const shutdownOptions = spec({
  /** The time over which the connections end, at an even rate, ms. Default 0: each ends as soon as it can. */
  overMs: whole(0, MAX_INT32).default(0),
  /** The time after which open connections are destroyed, ms. Includes `overMs`. Default: `overMs` and 8,000 more. */
  deadlineMs: whole(0, MAX_INT32),
  /**
   * Whether connections are accepted until `overMs` have passed, because a load balancer sends some until it notices
   * the shutdown. Default true.
   */
  keepAccepting: boolean().default(true),
  /** Destroys open connections when it is aborted, before the deadline. */
  signal: abortSignal,
})

export type ShutdownOptions = InputOf<typeof shutdownOptions>

/** How the connections of a server ended. */
export interface ShutdownReport {
  /** Connections that were open when the shutdown began, or were accepted later. */
  readonly connections: number
  /** Ended by `Connection: close` in a response. */
  readonly answer: number
  /** HTTP/2 sessions, ended by GOAWAY. */
  readonly goaway: number
  /** Closed while no request was in progress. */
  readonly idle: number
  /** Destroyed at the deadline, or when the signal was aborted. */
  readonly cut: number
  /** Ended by the client or by the application. */
  readonly others: number
  readonly durationMs: number
}

const underWay = new WeakMap<net.Server, Promise<ShutdownReport>>()

/**
 * Returns the promise of a shutdown that is under way, if any.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNKNOWN_OPTION
 */
export function shutDown(
  server: net.Server,
  options: ShutdownOptions | undefined,
): Promise<ShutdownReport> {
  const { overMs, keepAccepting, signal, ...checked } = shutdownOptions.check(
    'options',
    options ?? {},
  )
  const { deadlineMs = Math.min(overMs + DEFAULT_SHUTDOWN_MS, MAX_INT32) } = checked
  if (deadlineMs < overMs)
    throw new ArgumentValueError('options.deadlineMs', 'must not be below overMs', deadlineMs)
  let report = underWay.get(server)
  if (report === undefined) {
    const plan: EndPlan = keepAccepting
      ? { overMs, deadlineMs, acceptMs: overMs, queue: 'refuse' }
      : { overMs, deadlineMs, acceptMs: 0, queue: 'accept' }
    report = run(server, plan, signal).finally(() => underWay.delete(server))
    underWay.set(server, report)
  }
  return report
}

async function run(
  server: net.Server,
  plan: EndPlan,
  signal: AbortSignal | undefined,
): Promise<ShutdownReport> {
  const start = performance.now()
  const retirement = retirementOf(server)
  let connections = 0
  const count = (): void => {
    connections++
  }
  const closed = retirement.end(plan)
  connections += await openIn(server)
  server.on('connection', count)
  const isClosed = await closedBefore(closed, plan.deadlineMs, signal)
  server.off('connection', count)
  const cut = isClosed ? 0 : await openIn(server)
  if (!isClosed) retirement.cut()
  const { answer, goaway, idle } = retirement.ways
  const others = Math.max(0, connections - answer - goaway - idle - cut)
  const durationMs = performance.now() - start
  return { connections, answer, goaway, idle, cut, others, durationMs }
}

function openIn(server: net.Server): Promise<number> {
  return new Promise((resolve) => {
    server.getConnections((_error, count) => {
      resolve(count)
    })
  })
}

/** Whether all connections were closed before the deadline and before the signal was aborted. */
async function closedBefore(
  closed: Promise<void>,
  deadlineMs: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const over = new AbortController()
  const either = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal])
  const late = delay(deadlineMs, false, { ref: false, signal: either }).catch(() => false)
  try {
    return await Promise.race([closed.then(() => true), late])
  } finally {
    over.abort()
  }
}

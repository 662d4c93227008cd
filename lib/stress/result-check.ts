/** Checks results that come from a caller, who may have read them from a file. */
import { ArgumentTypeError, ArgumentValueError, isObject } from '../errors'
import { isDistribution } from './latency-histogram'
import { SCHEMA_VERSION, type StressResult } from './result'

/**
 * Checks that a value has the schemaVersion of this library.
 *
 * @param argument the name of the value in messages
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE
 */
export function checkSchemaVersion(argument: string, value: unknown): Record<string, unknown> {
  if (!isObject(value) || !('schemaVersion' in value))
    throw new ArgumentTypeError(argument, 'the result of a run', value)
  const { schemaVersion } = value
  if (schemaVersion === SCHEMA_VERSION) return value
  throw new ArgumentValueError(
    argument,
    `must have the schemaVersion ${String(SCHEMA_VERSION)}`,
    schemaVersion,
  )
}

type Check = (value: unknown) => boolean
/** The members of an object, or the check of a value. An array has the shape of its elements. */
type Shape = Check | readonly [Shape] | { readonly [name: string]: Shape }

const text: Check = (value) => typeof value === 'string'
const flag: Check = (value) => typeof value === 'boolean'
const amount: Check = (value) => Number.isFinite(value) && (value as number) >= 0
const amountOrNull: Check = (value) => value === null || amount(value)
const textOrNull: Check = (value) => value === null || text(value)
const counts: Check = (value) => isObject(value) && Object.values(value).every(amount)
const changes: Check = (value) =>
  isObject(value) &&
  Object.values(value).every((change) => change === null || Number.isFinite(change))

const generator: Shape = {
  eventLoopBusy: amount,
  eventLoopDelayMs: { mean: amount, p99: amount, max: amount },
  userCpu: amount,
  systemCpu: amount,
  lag: isDistribution,
}

/** The members of a result that a merge reads. */
const result: Shape = {
  startedAt: (value) => text(value) && !Number.isNaN(Date.parse(value as string)),
  environment: isObject,
  target: { url: text, protocol: text, host: text, address: text, port: amount },
  plan: {
    loop: text,
    connections: amount,
    ratePerSecond: amountOrNull,
    arrivals: textOrNull,
    connectionsPerSecond: amountOrNull,
    requestsPerConnection: amountOrNull,
    close: text,
    durationMs: amountOrNull,
    amount: amountOrNull,
    warmupMs: amount,
    timeoutMs: amount,
    sources: [text],
    workers: amount,
  },
  ended: (value) => ['duration', 'amount', 'aborted'].includes(value as string),
  seconds: amount,
  valid: flag,
  limits: [{ code: text, message: text }],
  requests: {
    planned: amount,
    answered: amount,
    failed: amount,
    unsent: amount,
    aborted: amount,
    perSecond: amount,
    bytesReceived: amount,
    byStatus: counts,
  },
  connections: {
    opened: amount,
    failed: amount,
    perSecond: amount,
    mostOpen: amount,
    endedByTarget: amount,
  },
  latency: isDistribution,
  phases: {
    queue: isDistribution,
    connectCall: isDistribution,
    handshake: isDistribution,
    handshakeRetried: isDistribution,
    portWait: isDistribution,
    tls: isDistribution,
    firstByte: isDistribution,
    service: isDistribution,
    close: isDistribution,
  },
  errors: [{ code: text, phase: text, count: amount, message: text }],
  closes: {
    closes: counts,
    fallbacks: counts,
    timeWaitLeft: amount,
    discardedBytes: amount,
    unreadBytes: amount,
    underWay: amount,
  },
  kernel: {
    counters: changes,
    minRttMs: amountOrNull,
    sampledRetransmits: amount,
    sampledConnections: amount,
    timeWaitBefore: amountOrNull,
    timeWaitAfter: amountOrNull,
    portsBefore: amountOrNull,
    portsAfter: amountOrNull,
    portWaits: amount,
  },
  generator,
  workers: [{ name: text, answered: amount, perSecond: amount, generator }],
  series: [
    {
      second: amount,
      stage: (value) => ['warm-up', 'measure', 'drain'].includes(value as string),
      intervalMs: amount,
      answered: amount,
      failed: amount,
      connectionsOpened: amount,
      connectionsOpen: amount,
      waiting: amount,
      latencyMs: { p50: amount, p90: amount, p99: amount, 'p99.9': amount, max: amount },
      timeWait: amountOrNull,
      portsFree: amountOrNull,
      secondsUntilExhaustion: amountOrNull,
      eventLoopBusy: amount,
    },
  ],
}

/**
 * @param argument the name of the value in messages
 * @throws ERR_INVALID_ARG_TYPE for a value that is not the result of a run, or whose figures cannot be merged;
 *   ERR_INVALID_ARG_VALUE for another `schemaVersion`
 */
export function checkRunResult(argument: string, value: unknown): StressResult {
  const given = checkSchemaVersion(argument, value)
  // Earlier releases had one process, and did not count the closes under way.
  const { plan, closes, workers = [] } = given
  const complete = {
    ...given,
    workers,
    plan: isObject(plan) ? { workers: 1, ...plan } : plan,
    closes: isObject(closes) ? { underWay: 0, ...closes } : closes,
  }
  const wrong = misfitIn(complete, result, '')
  if (wrong !== undefined)
    throw new ArgumentTypeError(
      argument,
      `the result of a single run, but its '${wrong}' is missing or wrong`,
      value,
    )
  return complete as unknown as StressResult
}

/** Returns the path of the first member that does not have its shape. */
function misfitIn(value: unknown, shape: Shape, path: string): string | undefined {
  if (typeof shape === 'function') return shape(value) ? undefined : path
  if (isList(shape)) {
    const [each] = shape
    if (!Array.isArray(value)) return path
    return firstOf(value.map((one, at) => misfitIn(one, each, `${path}[${String(at)}]`)))
  }
  if (!isObject(value)) return path
  return firstOf(
    Object.entries(shape).map(([name, inner]) =>
      misfitIn(value[name], inner, path === '' ? name : `${path}.${name}`),
    ),
  )
}

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape)
}

function firstOf(paths: readonly (string | undefined)[]): string | undefined {
  return paths.find((path) => path !== undefined)
}

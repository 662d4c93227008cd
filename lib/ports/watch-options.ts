/** What watchPorts() may be told, checked. */
import { ArgumentTypeError, ArgumentValueError, checkOptions, checkWhole } from '../errors'
import { checkDestination, type CheckedDestination, type Destination } from './place'

/** When a destination is said to run short of ports. */
export interface PortAlarm {
  /** Share of the ports that cannot be taken, above 0 and up to 1. Default 0.4: before connect() gets slow. */
  used?: number | undefined
  /** Seconds until there are none. Default 60. */
  seconds?: number | undefined
}

export interface WatchPortsOptions {
  /** 1 to 64 of them; a host name stands for all of its addresses. */
  destinations: readonly Destination[]
  /** From one look to the next, ms: 10 to 3,600,000. Default 1,000. More where a look costs much. */
  intervalMs?: number | undefined
  warnAt?: PortAlarm | undefined
  /** Stops the watch. */
  signal?: AbortSignal | undefined
}

export interface CheckedWatch {
  readonly destinations: readonly CheckedDestination[]
  readonly intervalMs: number
  readonly warnAt: { readonly used: number; readonly seconds: number }
  readonly signal: AbortSignal | undefined
}

const MAX_DESTINATIONS = 64
const MIN_INTERVAL_MS = 10
const MAX_INTERVAL_MS = 3_600_000
const MAX_SECONDS = 86_400
const INTERVAL_MS = 1_000
const USED = 0.4
const SECONDS = 60

/** @throws as checkDestination() */
export function checkWatch(options: WatchPortsOptions): CheckedWatch {
  checkOptions('options', options)
  const { destinations, intervalMs = INTERVAL_MS, warnAt = {}, signal } = options
  if (!Array.isArray(destinations))
    throw new ArgumentTypeError('options.destinations', 'an array of destinations', destinations)
  if (destinations.length === 0 || destinations.length > MAX_DESTINATIONS) {
    throw new ArgumentValueError(
      'options.destinations',
      `must have 1 to ${String(MAX_DESTINATIONS)} destinations`,
      destinations.length,
    )
  }
  checkWhole('options.intervalMs', intervalMs, MIN_INTERVAL_MS, MAX_INTERVAL_MS)
  checkOptions('options.warnAt', warnAt)
  const { used = USED, seconds = SECONDS } = warnAt
  checkShare('options.warnAt.used', used)
  checkWhole('options.warnAt.seconds', seconds, 0, MAX_SECONDS)
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new ArgumentTypeError('options.signal', 'an instance of AbortSignal', signal)
  const checked = destinations.map((destination, index) =>
    checkDestination(`options.destinations[${String(index)}]`, destination as Destination),
  )
  return { destinations: checked, intervalMs, warnAt: { used, seconds }, signal }
}

function checkShare(argument: string, value: unknown): void {
  if (typeof value !== 'number') throw new ArgumentTypeError(argument, 'of type number', value)
  if (!(value > 0 && value <= 1))
    throw new ArgumentValueError(argument, 'must be above 0 and at most 1', value)
}

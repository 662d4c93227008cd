/** What watchPorts() may be told. */
import { ArgumentTypeError, ArgumentValueError } from '../errors'
import { abortSignal, bag, custom, list, spec, whole, type InputOf, type OutputOf } from '../spec'
import { checkDestination, type CheckedDestination, type Destination } from './place'

const MAX_DESTINATIONS = 64
const MIN_INTERVAL_MS = 10
const MAX_INTERVAL_MS = 3_600_000
const MAX_SECONDS = 86_400

const share = custom<number>('above 0 and at most 1', (argument, value) => {
  if (typeof value !== 'number') throw new ArgumentTypeError(argument, 'of type number', value)
  if (!(value > 0 && value <= 1))
    throw new ArgumentValueError(argument, 'must be above 0 and at most 1', value)
  return value
})

export const portAlarm = spec({
  /** Share of the ports that cannot be taken, above 0 and up to 1. Default 0.4: before connect() gets slow. */
  used: share.default(0.4),
  /** Seconds until there are none. Default 60. */
  seconds: whole(0, MAX_SECONDS).default(60),
})

/** When a destination is said to run short of ports. */
export type PortAlarm = InputOf<typeof portAlarm>

const destination = custom<Destination, CheckedDestination>('a destination', checkDestination)

export const watchPortsOptions = spec({
  /** 1 to 64 of them; a host name stands for all of its addresses. */
  destinations: list(destination, { min: 1, max: MAX_DESTINATIONS }).required(),
  /** From one look to the next, ms: 10 to 3,600,000. Default 1,000. More where a look costs much. */
  intervalMs: whole(MIN_INTERVAL_MS, MAX_INTERVAL_MS).default(1_000),
  warnAt: bag(portAlarm).default(portAlarm.check('options.warnAt', {})),
  /** Stops the watch. */
  signal: abortSignal,
})

export type WatchPortsOptions = InputOf<typeof watchPortsOptions>

export type CheckedWatch = OutputOf<typeof watchPortsOptions>

/** @throws as checkDestination() */
export function checkWatch(options: WatchPortsOptions): CheckedWatch {
  return watchPortsOptions.check('options', options)
}

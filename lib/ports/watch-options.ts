/** The options of watchPorts(). */
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
  /** The share of used ports that triggers a warning. Default 0.4, which is reached before connect() becomes slow. */
  used: share.default(0.4),
  /** Warns when the ports are expected to run out within this time, s. Default 60. */
  seconds: whole(0, MAX_SECONDS).default(60),
})

/** The limits at which a destination counts as running short of ports. */
export type PortAlarm = InputOf<typeof portAlarm>

const destination = custom<Destination, CheckedDestination>('a destination', checkDestination)

export const watchPortsOptions = spec({
  /** The destinations. A host name stands for all its addresses. */
  destinations: list(destination, { min: 1, max: MAX_DESTINATIONS }).required(),
  /** The time between readings, ms. Default 1,000. Longer where readings are expensive. */
  intervalMs: whole(MIN_INTERVAL_MS, MAX_INTERVAL_MS).default(1_000),
  /** The limits for SOCKET_TUNER_PORTS_LOW. */
  warnAt: bag(portAlarm).default(portAlarm.check('options.warnAt', {})),
  /** Stops the watch. */
  signal: abortSignal,
})

export type WatchPortsOptions = InputOf<typeof watchPortsOptions>

export type CheckedWatch = OutputOf<typeof watchPortsOptions>

/** @throws what checkDestination() throws */
export function checkWatch(options: WatchPortsOptions): CheckedWatch {
  return watchPortsOptions.check('options', options)
}

import { availableParallelism } from 'node:os'
import { ArgumentTypeError, ArgumentValueError } from '../errors'
import type { Settings } from '../options/option'
import { prepareSettings, requirePresent } from '../options/tune'
import {
  MAX_INT32,
  boolean,
  fn,
  list,
  oneOf,
  spec,
  text,
  whole,
  type InputOf,
  type OutputOf,
} from '../spec'
import { backlogOption } from '../connect/listening'
import { foreign, listenPlace, warnOfBacklog } from '../server/bound'
import { connectionLimits } from '../server/connection-limits'
import { DEFAULT_SHUTDOWN_MS } from '../server/shutdown'
import type { Steering } from './messages'
import type { Serve } from './worker'

const MAX_WORKERS = 1024
const MAX_CRASHES = 1000
const MAX_DELAY_MS = 30_000

export const preforkOptions = spec(
  {
    ...listenPlace,
    /** The number of workers. Default `os.availableParallelism()`. */
    workers: whole(1, MAX_WORKERS),
    /** The most connections that may wait to be accepted, for each worker; limited by net.core.somaxconn. Default 511. */
    backlog: backlogOption,
    /** How a connection is assigned to a worker. Default 'hash'; 'cluster' on systems other than Linux. */
    steering: oneOf<Steering>('hash', 'cpu', 'cluster').default('hash'),
    /** Runs in each worker. Optional in the primary if `exec` is another file. */
    serve: fn<Serve>(),
    /** The file that workers run. It must call `prefork({ serve })`. Default: the file of this process. */
    exec: text(),
    /** The arguments of that file. Default: those of this process. */
    args: list(text()),
    /** The longest time from the start of a worker until it listens, ms. Default 30,000. */
    startTimeoutMs: whole(1, MAX_INT32).default(30_000),
    ...connectionLimits.fields,
    /** The longest time for connections to end when a worker ends or the group closes, ms. Default 8,000. */
    shutdownTimeoutMs: whole(0, MAX_INT32).default(DEFAULT_SHUTDOWN_MS),
    /** The part of that time over which the connections of a worker end, at an even rate, ms. Default 0. */
    shutdownOverMs: whole(0, MAX_INT32).default(0),
    /** The number of workers in a row that end within 1 s of listening at which the group gives up. Default 5. */
    crashLimit: whole(1, MAX_CRASHES).default(5),
    /** The pause before a restart after the second such end, ms. Doubles each time, up to 30 s. Default 100. */
    restartDelayMs: whole(1, MAX_DELAY_MS).default(100),
    /** Whether SIGTERM and SIGINT close the group. Default true. */
    signals: boolean().default(true),
  },
  { ...foreign, path: 'is an option of listen() only', fd: 'is an option of listen() only' },
)

export type PreforkOptions = InputOf<typeof preforkOptions>

/** The checked options of the primary. `serve` is not among them: each worker has its own. */
export type PreforkPlan = Omit<OutputOf<typeof preforkOptions>, 'workers' | 'serve'> & {
  readonly workers: number
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; what prepareSettings() throws */
export function checkPreforkOptions(options: PreforkOptions): PreforkPlan {
  const { serve, ...checked } = preforkOptions.check('options', options)
  const { workers = availableParallelism(), settings } = checked
  if (serve === undefined && checked.exec === undefined)
    throw new ArgumentTypeError('options.serve', 'of type function', serve)
  checkSettings(settings)
  if (checked.shutdownOverMs > checked.shutdownTimeoutMs)
    throw new ArgumentValueError(
      'options.shutdownOverMs',
      'must not be above shutdownTimeoutMs',
      checked.shutdownOverMs,
    )
  // Last, because it may warn.
  warnOfBacklog(checked.backlog)
  return { ...checked, workers }
}

/** Checks the options in a worker, which makes the same call as its primary and needs only `serve`. */
export function checkServe(options: PreforkOptions): Serve {
  const { serve } = preforkOptions.check('options', options)
  if (serve === undefined) throw new ArgumentTypeError('options.serve', 'of type function', serve)
  return serve
}

/** The pause before a restart, ms. @param crashes the number of crashes in a row */
export function pauseAfter(crashes: number, restartDelayMs: number): number {
  return crashes < 2 ? 0 : Math.min(restartDelayMs * 2 ** (crashes - 2), MAX_DELAY_MS)
}

function checkSettings(settings: Settings): void {
  const prepared = prepareSettings(settings)
  requirePresent(prepared.missing)
  if (settings.SO_REUSEPORT !== undefined) {
    throw new ArgumentValueError(
      'options.settings.SO_REUSEPORT',
      "must be left out: 'steering' determines it",
      settings.SO_REUSEPORT,
    )
  }
}

import { availableParallelism } from 'node:os'
import { ArgumentTypeError, ArgumentValueError } from '../errors'
import type { Settings } from '../options/option'
import { prepareSettings, requirePresent } from '../options/tune'
import { boolean, fn, list, oneOf, spec, text, whole, type InputOf, type OutputOf } from '../spec'
import { backlogOption, foreign, listenPlace, warnOfBacklog } from '../server/bound'
import type { Steering } from './messages'
import type { Serve } from './worker'

/** `docker stop` kills after 10 s: until then a worker that hangs is killed too, a second later. */
const DEFAULT_SHUTDOWN_MS = 8_000
const MAX_WORKERS = 1024
const MAX_CRASHES = 1000
const MAX_DELAY_MS = 30_000
const MAX_TIMEOUT_MS = 2 ** 31 - 1

export const preforkOptions = spec(
  {
    ...listenPlace,
    /** From 1 to 1024. Default `os.availableParallelism()`. */
    workers: whole(1, MAX_WORKERS),
    /** Connections that may wait, for each worker; net.core.somaxconn limits it. Default 511. */
    backlog: backlogOption,
    /** Default 'hash'; 'cluster' where there is no Linux. */
    steering: oneOf<Steering>('hash', 'cpu', 'cluster').default('hash'),
    /** Runs in each worker. May be left out in the primary where `exec` is another file. */
    serve: fn<Serve>(),
    /** The file that workers run: it calls `prefork({ serve })`. Default the one of this process. */
    exec: text(),
    /** Arguments of that file. Default those of this process. */
    args: list(text()),
    /** How long a worker may take until it listens, ms. Default 30,000. */
    startTimeoutMs: whole(1, MAX_TIMEOUT_MS).default(30_000),
    /** How long connections may take to end when a worker ends or the group closes, ms. Default 8,000. */
    shutdownTimeoutMs: whole(0, MAX_TIMEOUT_MS).default(DEFAULT_SHUTDOWN_MS),
    /** How often in a row a worker may end before it served for a second. Default 5. */
    crashLimit: whole(1, MAX_CRASHES).default(5),
    /** The pause after the second such end, ms: doubles each time, up to 30 s. Default 100. */
    restartDelayMs: whole(1, MAX_DELAY_MS).default(100),
    /** Whether SIGTERM and SIGINT close the group. Default true. */
    signals: boolean().default(true),
  },
  { ...foreign, path: 'is for listen() only', fd: 'is for listen() only' },
)

export type PreforkOptions = InputOf<typeof preforkOptions>

/** The options, checked and complete; what a worker runs it has by itself. */
export type PreforkPlan = Omit<OutputOf<typeof preforkOptions>, 'workers' | 'serve'> & {
  readonly workers: number
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; as prepareSettings() */
export function checkPreforkOptions(options: PreforkOptions): PreforkPlan {
  const { serve, ...checked } = preforkOptions.check('options', options)
  const { workers = availableParallelism(), settings } = checked
  if (serve === undefined && checked.exec === undefined)
    throw new ArgumentTypeError('options.serve', 'of type function', serve)
  checkSettings(settings)
  // Last: it may warn.
  warnOfBacklog(checked.backlog)
  return { ...checked, workers }
}

/** What a worker takes of them, which runs the same call as its primary. */
export function checkServe(options: PreforkOptions): Serve {
  const { serve } = preforkOptions.check('options', options)
  if (serve === undefined) throw new ArgumentTypeError('options.serve', 'of type function', serve)
  return serve
}

/** The pause before a worker is started again. @param crashes how many there were in a row */
export function pauseAfter(crashes: number, restartDelayMs: number): number {
  return crashes < 2 ? 0 : Math.min(restartDelayMs * 2 ** (crashes - 2), MAX_DELAY_MS)
}

function checkSettings(settings: Settings): void {
  const prepared = prepareSettings(settings)
  requirePresent(prepared.missing)
  if (settings.SO_REUSEPORT !== undefined) {
    throw new ArgumentValueError(
      'options.settings.SO_REUSEPORT',
      "must be left out: 'steering' decides about it",
      settings.SO_REUSEPORT,
    )
  }
}

import { availableParallelism } from 'node:os'
import { checkPort } from '../../connect/address'
import {
  ArgumentTypeError,
  ArgumentValueError,
  checkBoolean,
  checkOptions,
  checkWhole,
} from '../../errors'
import type { Settings } from '../../options/option'
import { prepareSettings, requirePresent } from '../../options/tune'
import { checkBacklog, checkNotForeign } from '../bound'
import type { PreforkWorker } from './worker'

/**
 * Which worker gets a connection. `hash`: the kernel decides by the addresses and ports of both ends.
 * `cpu`: by the CPU that handles its first packet. `cluster`: all workers share one socket, and
 * node:cluster decides by its `schedulingPolicy`.
 */
export type Steering = 'hash' | 'cpu' | 'cluster'

/**
 * What a worker does: it makes its server and calls `worker.listen(server)`. When what it returns, or
 * resolves with, is a function, that is called when the worker ends and its last connection is closed.
 */
export type Serve = (worker: PreforkWorker) => unknown

export interface PreforkOptions {
  /** From 1 to 1024. Default `os.availableParallelism()`. */
  workers?: number | undefined
  /** 0 or undefined for one that the kernel chooses. */
  port?: number | undefined
  /** As for `listen()`. Default all addresses. */
  host?: string | undefined
  /** No IPv4 on `::` (IPV6_V6ONLY, ipv6(7)). Default false. */
  ipv6Only?: boolean | undefined
  /** Connections that may wait, for each worker; net.core.somaxconn limits it. Default 511. */
  backlog?: number | undefined
  /** Options in force before bind(2) and listen(2); accepted sockets inherit most of them. */
  settings?: Settings | undefined
  /** Default 'hash'; 'cluster' where there is no Linux. */
  steering?: Steering | undefined
  /** Runs in each worker. May be left out in the primary where `exec` is another file. */
  serve?: Serve | undefined
  /** The file that workers run: it calls `prefork({ serve })`. Default the one of this process. */
  exec?: string | undefined
  /** Arguments of that file. Default those of this process. */
  args?: readonly string[] | undefined
  /** How long a worker may take until it listens, ms. Default 30,000. */
  startTimeoutMs?: number | undefined
  /** How long connections may take to end when a worker ends or the group closes, ms. Default 10,000. */
  shutdownTimeoutMs?: number | undefined
  /** How often in a row a worker may end before it served for a second. Default 5. */
  crashLimit?: number | undefined
  /** The pause after the second such end, ms: doubles each time, up to 30 s. Default 100. */
  restartDelayMs?: number | undefined
  /** Whether SIGTERM and SIGINT close the group. Default true. */
  signals?: boolean | undefined
}

/** The options, checked and complete. */
export interface PreforkPlan {
  readonly workers: number
  readonly port: number
  readonly host: string | undefined
  readonly ipv6Only: boolean
  readonly backlog: number
  readonly settings: Settings
  readonly steering: Steering
  readonly exec: string | undefined
  readonly args: readonly string[] | undefined
  readonly startTimeoutMs: number
  readonly shutdownTimeoutMs: number
  readonly crashLimit: number
  readonly restartDelayMs: number
  readonly signals: boolean
}

const MAX_WORKERS = 1024
const MAX_CRASHES = 1000
const MAX_DELAY_MS = 30_000
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; as prepareSettings() */
export function checkPreforkOptions(options: PreforkOptions): PreforkPlan {
  checkOptions('options', options)
  checkNotForeign(options)
  const { host, settings = {}, steering = 'hash', exec, args, serve } = options
  const workers = whole('workers', options.workers, availableParallelism(), 1, MAX_WORKERS)
  const port = checkPort('options.port', options.port)
  checkString('host', host)
  checkString('exec', exec)
  if (serve === undefined ? exec === undefined : typeof (serve as unknown) !== 'function')
    throw new ArgumentTypeError('options.serve', 'of type function', serve)
  if (!isSteering(steering)) {
    throw new ArgumentValueError(
      'options.steering',
      "must be one of: 'hash', 'cpu', 'cluster'",
      steering,
    )
  }
  checkArguments(args)
  return {
    workers,
    port,
    host,
    exec,
    args,
    steering,
    settings: checkSettings(settings),
    ipv6Only: truth('ipv6Only', options.ipv6Only, false),
    signals: truth('signals', options.signals, true),
    startTimeoutMs: whole('startTimeoutMs', options.startTimeoutMs, 30_000, 1, MAX_TIMEOUT_MS),
    shutdownTimeoutMs: whole(
      'shutdownTimeoutMs',
      options.shutdownTimeoutMs,
      10_000,
      0,
      MAX_TIMEOUT_MS,
    ),
    crashLimit: whole('crashLimit', options.crashLimit, 5, 1, MAX_CRASHES),
    restartDelayMs: whole('restartDelayMs', options.restartDelayMs, 100, 1, MAX_DELAY_MS),
    // Last: it may warn.
    backlog: checkBacklog(options.backlog),
  }
}

/** The pause before a worker is started again. @param crashes how many there were in a row */
export function pauseAfter(crashes: number, restartDelayMs: number): number {
  return crashes < 2 ? 0 : Math.min(restartDelayMs * 2 ** (crashes - 2), MAX_DELAY_MS)
}

function checkSettings(settings: Settings): Settings {
  const prepared = prepareSettings(settings)
  requirePresent(prepared.missing)
  if (settings.SO_REUSEPORT !== undefined) {
    throw new ArgumentValueError(
      'options.settings.SO_REUSEPORT',
      "must be left out: 'steering' decides about it",
      settings.SO_REUSEPORT,
    )
  }
  return settings
}

function isSteering(value: unknown): value is Steering {
  return value === 'hash' || value === 'cpu' || value === 'cluster'
}

function checkString(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'string')
    throw new ArgumentTypeError(`options.${name}`, 'of type string', value)
}

function checkArguments(args: readonly unknown[] | undefined): void {
  if (args === undefined) return
  if (!Array.isArray(args))
    throw new ArgumentTypeError('options.args', 'an instance of Array', args)
  args.forEach((argument: unknown, index) => {
    checkString(`args[${String(index)}]`, argument)
  })
}

function truth(name: string, value: boolean | undefined, otherwise: boolean): boolean {
  if (value === undefined) return otherwise
  checkBoolean(`options.${name}`, value)
  return value
}

function whole(
  name: string,
  value: number | undefined,
  otherwise: number,
  min: number,
  max: number,
): number {
  if (value === undefined) return otherwise
  checkWhole(`options.${name}`, value, min, max)
  return value
}

/** autocannon's interface as its README.md has it: it brings no types of its own. */
import type { EventEmitter } from 'node:events'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { ConnectionOptions } from 'node:tls'
import type { SocketCounters } from './counters'

/** A function, or the path of a module that exports one: with `workers` only the path. */
type Hook<F> = F | string

/** As autocannon's option; what the function takes is left to the caller's own types. */
export type SetupClient = Hook<(client: never) => void>

/** One of the requests that are made in turn. */
export interface AutocannonRequest {
  readonly method?: string | undefined
  readonly path?: string | undefined
  readonly headers?: OutgoingHttpHeaders | undefined
  readonly body?: string | Buffer | undefined
  readonly setupRequest?: Hook<(request: never, context: never) => unknown> | undefined
  readonly onResponse?:
    | Hook<(status: number, body: string, context: never, headers: IncomingHttpHeaders) => void>
    | undefined
}

/** autocannon's own options. */
export interface AutocannonOptions {
  readonly url: string | readonly string[]
  readonly socketPath?: string | undefined
  /** Worker threads. */
  readonly workers?: number | undefined
  readonly connections?: number | undefined
  /** Seconds, or a timestring. */
  readonly duration?: number | string | undefined
  /** Requests in all, in place of `duration`. */
  readonly amount?: number | undefined
  /** Milliseconds. */
  readonly sampleInt?: number | undefined
  /** Seconds. */
  readonly timeout?: number | undefined
  readonly pipelining?: number | undefined
  /** Errors after which the run ends. */
  readonly bailout?: number | undefined
  readonly method?: string | undefined
  readonly title?: string | undefined
  readonly body?: string | Buffer | undefined
  readonly form?: string | object | undefined
  readonly headers?: OutgoingHttpHeaders | undefined
  readonly initialContext?: object | undefined
  /** Called with each client when it has been tuned. */
  readonly setupClient?: SetupClient | undefined
  readonly verifyBody?: Hook<(body: string) => boolean> | undefined
  readonly maxConnectionRequests?: number | undefined
  readonly maxOverallRequests?: number | undefined
  readonly connectionRate?: number | undefined
  readonly overallRate?: number | undefined
  readonly ignoreCoordinatedOmission?: boolean | undefined
  /** Requests after which a client closes its connection and makes another. */
  readonly reconnectRate?: number | undefined
  readonly requests?: readonly AutocannonRequest[] | undefined
  readonly har?: object | undefined
  readonly idReplacement?: boolean | undefined
  readonly forever?: boolean | undefined
  readonly servername?: string | undefined
  readonly excludeErrorStats?: boolean | undefined
  readonly expectBody?: string | undefined
  readonly tlsOptions?: ConnectionOptions | undefined
  readonly skipAggregateResult?: boolean | undefined
  readonly json?: boolean | undefined
  readonly warmup?: Partial<AutocannonOptions> | undefined
}

/** A distribution; it has also the percentiles `p2_5` to `p99_999`. */
export interface AutocannonStatistics {
  readonly average: number
  readonly mean: number
  readonly stddev: number
  readonly min: number
  readonly max: number
  readonly [statistic: string]: number
}

/** autocannon's own result, and what became of the connections. */
export interface AutocannonResult {
  /**
   * Counted until the moment at which it is read: TLS connections that were closed at the very end
   * may come a little later.
   */
  readonly sockets: SocketCounters
  readonly title: string | undefined
  readonly url: string | string[]
  readonly socketPath: string | undefined
  readonly connections: number
  readonly pipelining: number
  readonly sampleInt: number
  readonly workers: number | undefined
  /** Seconds. */
  readonly duration: number
  readonly samples: number
  readonly start: Date
  readonly finish: Date
  readonly errors: number
  readonly timeouts: number
  readonly mismatches: number
  readonly resets: number
  readonly non2xx: number
  readonly '1xx': number
  readonly '2xx': number
  readonly '3xx': number
  readonly '4xx': number
  readonly '5xx': number
  readonly statusCodeStats: Readonly<Record<string, { readonly count: number }>>
  /** Milliseconds. */
  readonly latency: AutocannonStatistics
  /** Per second. */
  readonly requests: AutocannonStatistics
  /** Bytes per second. */
  readonly throughput: AutocannonStatistics
  readonly warmup?: Omit<AutocannonResult, 'sockets'>
}

/** autocannon's own instance, with its events; `autocannon.track()` takes it. */
export interface AutocannonInstance extends EventEmitter {
  stop(): void
}

/** The same where there is no callback: it can be awaited. */
export interface AutocannonRun extends AutocannonInstance, PromiseLike<AutocannonResult> {
  catch<T = never>(rejected: (reason: unknown) => T | PromiseLike<T>): Promise<AutocannonResult | T>
}

export type AutocannonCallback = (error: Error | null, result: AutocannonResult) => void

/** What `require('autocannon')` gives, as far as it is used. */
export type Autocannon = (options: never, callback?: never) => object

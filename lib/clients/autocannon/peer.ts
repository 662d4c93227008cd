/** autocannon's interface, as its README.md describes it. The package has no declarations. */
import type { EventEmitter } from 'node:events'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { ConnectionOptions } from 'node:tls'
import type { SocketCounters } from './socket-counters'

/** A function, or the path of a module that exports one. With `workers`, it must be a path. */
type FunctionOrPath<F> = F | string

/** autocannon's option. The caller's own types describe the parameter of the function. */
export type SetupClient = FunctionOrPath<(client: never) => void>

/** One of the requests that a client sends in turn. */
export interface AutocannonRequest {
  readonly method?: string | undefined
  readonly path?: string | undefined
  readonly headers?: OutgoingHttpHeaders | undefined
  readonly body?: string | Buffer | undefined
  readonly setupRequest?: FunctionOrPath<(request: never, context: never) => unknown> | undefined
  readonly onResponse?:
    | FunctionOrPath<
        (status: number, body: string, context: never, headers: IncomingHttpHeaders) => void
      >
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
  /** The total number of requests, instead of `duration`. */
  readonly amount?: number | undefined
  /** Milliseconds. */
  readonly sampleInt?: number | undefined
  /** Seconds. */
  readonly timeout?: number | undefined
  readonly pipelining?: number | undefined
  /** The number of errors after which the run ends. */
  readonly bailout?: number | undefined
  readonly method?: string | undefined
  readonly title?: string | undefined
  readonly body?: string | Buffer | undefined
  readonly form?: string | object | undefined
  readonly headers?: OutgoingHttpHeaders | undefined
  readonly initialContext?: object | undefined
  /** Called with each client after it was tuned. */
  readonly setupClient?: SetupClient | undefined
  readonly verifyBody?: FunctionOrPath<(body: string) => boolean> | undefined
  readonly maxConnectionRequests?: number | undefined
  readonly maxOverallRequests?: number | undefined
  readonly connectionRate?: number | undefined
  readonly overallRate?: number | undefined
  readonly ignoreCoordinatedOmission?: boolean | undefined
  /** The number of requests after which a client closes its connection and opens another one. */
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

/** A distribution, which also has the percentiles `p2_5` to `p99_999`. */
export interface AutocannonStatistics {
  readonly average: number
  readonly mean: number
  readonly stddev: number
  readonly min: number
  readonly max: number
  readonly [statistic: string]: number
}

/** autocannon's own result, with counters of the connections. */
export interface AutocannonResult {
  /** Counted until it is read. TLS connections that are closed at the very end may be counted a little later. */
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

/** autocannon's own instance, with its events, for `autocannon.track()`. */
export interface AutocannonInstance extends EventEmitter {
  stop(): void
}

/** The instance of a run without a callback, which can be awaited. */
export interface AutocannonRun extends AutocannonInstance, PromiseLike<AutocannonResult> {
  catch<T = never>(rejected: (reason: unknown) => T | PromiseLike<T>): Promise<AutocannonResult | T>
}

export type AutocannonCallback = (error: Error | null, result: AutocannonResult) => void

/** The module `autocannon`, as far as it is used here. */
export type Autocannon = (options: never, callback?: never) => object

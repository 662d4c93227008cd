/** Limits on the age of a server's connections and on their number of requests. */
import type * as net from 'node:net'
import { ArgumentValueError } from '../errors'
import { MAX_INT32, spec, whole, type OutputOf } from '../spec'

/** For the tables of functions that accept these options among others. */
export const connectionLimits = spec({
  /**
   * The age at which a connection of an http, https or http2 server ends, ms, without a failed request: with HTTP/1
   * by `Connection: close` in the next response or while it is idle, with HTTP/2 by GOAWAY. Default: no limit.
   */
  maxConnectionAgeMs: whole(1, MAX_INT32),
  /**
   * Spreads the ages, so that connections that began together do not end together: the age of each connection is
   * random, up to this percentage below `maxConnectionAgeMs`. Default 10.
   */
  connectionAgeJitterPercent: whole(0, 100).default(10),
  /** The number of requests after which a connection of such a server ends, with its last response. Default: no limit. */
  maxRequests: whole(1, MAX_INT32),
})

/** Checked limits. */
export type ConnectionLimits = OutputOf<typeof connectionLimits>

export const noLimits: ConnectionLimits = connectionLimits.check('options', {})

const limitNames = ['maxConnectionAgeMs', 'maxRequests'] as const

/** Whether there is a limit. */
export function hasLimits(limits: ConnectionLimits): boolean {
  return limitNames.some((name) => limits[name] !== undefined)
}

/** The limits among other checked options. */
export function connectionLimitsOf(checked: ConnectionLimits): ConnectionLimits {
  const { maxConnectionAgeMs, connectionAgeJitterPercent, maxRequests } = checked
  return { maxConnectionAgeMs, connectionAgeJitterPercent, maxRequests }
}

/**
 * @param argument the name of the options in error messages
 * @throws ERR_INVALID_ARG_VALUE for a server whose connections carry no requests
 */
export function requireHttp(server: net.Server, limits: ConnectionLimits, argument: string): void {
  if (speaksHttp(server)) return
  for (const name of limitNames) {
    if (limits[name] === undefined) continue
    const reason =
      'needs an http, https or http2 server: of another protocol only the application knows when a connection may end'
    throw new ArgumentValueError(`${argument}.${name}`, reason, limits[name])
  }
}

/** Whether the connections of a server carry requests. */
export function speaksHttp(server: net.Server): boolean {
  return speaksHttp1(server) || speaksHttp2(server)
}

/** Does not load node:http. True for HTTP/2 servers over TLS too, which may also accept HTTP/1. */
export function speaksHttp1(server: net.Server): boolean {
  return isFunction((server as { closeIdleConnections?: unknown }).closeIdleConnections)
}

export function speaksHttp2(server: net.Server): boolean {
  return isFunction((server as { updateSettings?: unknown }).updateSettings)
}

export function speaksTls(server: net.Server): boolean {
  return isFunction((server as { setSecureContext?: unknown }).setSecureContext)
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}

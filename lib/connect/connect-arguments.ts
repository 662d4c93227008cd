/** Normalizes the overloads of Node's connecting functions to one options object. */
import type * as net from 'node:net'
import type * as tls from 'node:tls'

/** The normalized arguments. */
interface ConnectArguments<O> {
  readonly options: O
  /** For 'connect'. */
  readonly listener: (() => void) | undefined
}

/** The overloads of net.connect(): `(options, listener)`, `(port, host, listener)` and `(path, listener)`. */
export function netArguments(args: readonly unknown[]): ConnectArguments<net.NetConnectOpts> {
  const [first, second] = args
  const last = args.at(-1)
  const listener = typeof last === 'function' ? (last as () => void) : undefined
  if (isObject(first)) return { options: first as net.NetConnectOpts, listener }
  if (typeof first === 'string' && !(Number(first) >= 0))
    return { options: { path: first }, listener }
  const host = typeof second === 'string' ? { host: second } : {}
  return { options: { port: first, ...host } as net.NetConnectOpts, listener }
}

/** The overloads of tls.connect(), which also takes options after the port, the host or the path. */
export function tlsArguments(
  args: readonly unknown[],
): ConnectArguments<net.NetConnectOpts & tls.ConnectionOptions> {
  const { options, listener } = netArguments(args)
  const [, second, third] = args
  const more = isObject(second) ? second : isObject(third) ? third : {}
  return { options: { ...options, ...more }, listener }
}

/** The overloads of https.Agent's createConnection(): `(options)`, `(port, options)` and `(port, host, options)`. */
export function httpsAgentArguments(args: readonly unknown[]): Record<string, unknown> {
  const [port, host] = args
  const options = args.slice(0, 3).find(isObject) ?? {}
  return {
    ...options,
    ...(typeof port === 'number' ? { port } : {}),
    ...(typeof host === 'string' ? { host } : {}),
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

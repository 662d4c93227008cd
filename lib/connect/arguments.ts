/** The forms in which Node's functions that connect take their arguments. */
import type * as net from 'node:net'
import type * as tls from 'node:tls'

/** The one object that each form stands for. */
export interface ConnectArguments<O> {
  readonly options: O
  /** For 'connect'. */
  readonly listener: (() => void) | undefined
}

/** `(options, listener)`, `(port, host, listener)` and `(path, listener)`, as net.connect() takes them. */
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

/** The same with `(port, host, options, listener)` and its like, as tls.connect() takes them. */
export function tlsArguments(
  args: readonly unknown[],
): ConnectArguments<net.NetConnectOpts & tls.ConnectionOptions> {
  const { options, listener } = netArguments(args)
  const [, second, third] = args
  const more = isObject(second) ? second : isObject(third) ? third : {}
  return { options: { ...options, ...more }, listener }
}

/** `(options)`, `(port, options)` and `(port, host, options)`, as https.Agent's createConnection() takes them. */
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

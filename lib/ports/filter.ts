/** Filters of sockets as callers write them. */
import { anyPort, ipAddress, realPort } from '../connect/address'
import { ArgumentValueError } from '../errors'
import type { PortRange } from '../options/values'
import { custom, spec, type InputOf } from '../spec'

const ends = spec({ min: realPort.required(), max: realPort.required() })

/** Both ends included. */
export const portRange = custom<PortRange>('{ min, max }', (argument, value) => {
  const { min, max } = ends.check(argument, value)
  if (min > max)
    throw new ArgumentValueError(argument, 'must not have its min above its max', value)
  return { min, max }
})

export const socketFilter = spec({
  /** An IPv4 address matches what an IPv6 socket has as ::ffff:a.b.c.d too. */
  localAddress: ipAddress,
  localPort: anyPort,
  remoteAddress: ipAddress,
  remotePort: anyPort,
  /** Local ports from `min` to `max`. */
  localPortRange: portRange,
})

export type SocketFilter = Readonly<InputOf<typeof socketFilter>>

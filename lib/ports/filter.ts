/** The filters of sockets that callers pass. */
import { anyPort, ipAddress, realPort } from '../connect/address'
import { ArgumentValueError } from '../errors'
import type { PortRange } from '../kernel/proc'
import { custom, spec, type InputOf } from '../spec'

const ends = spec({ min: realPort.required(), max: realPort.required() })

/** A range of ports; both ends are included. */
export const portRange = custom<PortRange>('{ min, max }', (argument, value) => {
  const { min, max } = ends.check(argument, value)
  if (min > max)
    throw new ArgumentValueError(argument, 'must not have its min above its max', value)
  return { min, max }
})

export const socketFilter = spec({
  /** An IPv4 address also matches the IPv4-mapped address of an IPv6 socket, ::ffff:a.b.c.d. */
  localAddress: ipAddress,
  /** The port on this host. */
  localPort: anyPort,
  /** The address of the peer; as with `localAddress`. */
  remoteAddress: ipAddress,
  /** The port of the peer. */
  remotePort: anyPort,
  /** Matches local ports from `min` to `max`. */
  localPortRange: portRange,
})

export type SocketFilter = Readonly<InputOf<typeof socketFilter>>

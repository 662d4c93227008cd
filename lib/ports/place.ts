/** Between which addresses ports are looked at, and by what rules connect(2) takes them there. */
import { isIPv4 } from 'node:net'
import { constants as os } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { familyOf, wrongFamily, type IpFamily } from '../connect/address'
import { portChoiceHere } from '../connect/port-choice'
import { sourceFor } from '../connect/source-for'
import { SocketOptionError, checkOptions, checkWhole } from '../errors'
import { plainAddress } from '../observe/address-text'
import { reservedPorts, systemPortRange } from '../observe/namespace-facts'
import type { PortRange } from '../options/values'
import { checkRange } from './filter'
import { heldMs, reuseBetween, reuseFacts, type TimeWaitReuse } from './reuse'

/** Where connections go to, and from where. */
export interface Destination {
  /** An IP address. */
  remoteAddress: string
  /** 1 to 65535 */
  remotePort: number
  /** The source address. Default: the one that the kernel takes for this destination. */
  localAddress?: string | undefined
  /** What IP_LOCAL_PORT_RANGE is set to on the connections. Default: it is not set. */
  portRange?: PortRange | undefined
}

/** The same, checked and complete. */
export interface Place {
  readonly family: IpFamily
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  /** The caller named it; else it is what the kernel takes. */
  readonly hasOwnSource: boolean
  readonly asked: PortRange | undefined
}

/** What holds there at the moment. */
export interface PortRules {
  readonly range: PortRange
  /** net.ipv4.ip_local_reserved_ports. */
  readonly reserved: readonly PortRange[]
  readonly reuse: TimeWaitReuse
  /** How long a port is gone after a close that leaves TIME_WAIT, ms. */
  readonly heldMs: number
  /** Ports of one parity are taken first, the others only when none of those is free. */
  readonly inHalves: boolean
}

/**
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY; an errno's name where this host has no source for the destination
 */
export function checkDestination(argument: string, destination: Destination): Place {
  checkOptions(argument, destination)
  const { remoteAddress, remotePort, localAddress, portRange } = destination
  familyOf(`${argument}.remoteAddress`, remoteAddress)
  // An IPv6 socket that has an IPv4 peer shares its ports with IPv4.
  const remote = plainAddress(remoteAddress)
  const family = isIPv4(remote) ? 4 : 6
  checkWhole(`${argument}.remotePort`, remotePort, 1, 65535)
  if (portRange !== undefined) checkRange(`${argument}.portRange`, portRange)
  return {
    family,
    remoteAddress: remote,
    remotePort,
    localAddress:
      localAddress === undefined
        ? plainAddress(sourceOf(family, family === 4 ? remote : remoteAddress))
        : checkSource(`${argument}.localAddress`, localAddress, family),
    hasOwnSource: localAddress !== undefined,
    asked: portRange === undefined ? undefined : { min: portRange.min, max: portRange.max },
  }
}

function checkSource(argument: string, source: string, family: IpFamily): string {
  familyOf(argument, source)
  const plain = plainAddress(source)
  if ((isIPv4(plain) ? 4 : 6) !== family) throw wrongFamily(argument, source, family)
  return plain
}

function sourceOf(family: IpFamily, address: string): string {
  const source = sourceFor(family, address)
  if (typeof source === 'string') return source
  if (source === -os.errno.EOPNOTSUPP) throw notHere()
  const code = getSystemErrorName(source)
  throw new SocketOptionError(`This host has no source address for ${address} (${code})`, {
    code,
    errno: source,
    syscall: 'connect',
    address,
  })
}

/** @throws ERR_SOCKET_TUNER_UNSUPPORTED where there is no /proc */
export function rulesOf({ localAddress, remoteAddress, asked }: Place): PortRules {
  const system = systemPortRange()
  if (system === undefined) throw notHere()
  const reuse = reuseBetween(reuseFacts(), localAddress, remoteAddress)
  return {
    range: asked === undefined ? system : confine(system, asked),
    reserved: reservedPorts() ?? [],
    reuse,
    heldMs: heldMs(reuse),
    inHalves: asked === undefined || portChoiceHere() !== 'whole',
  }
}

function notHere(): SocketOptionError {
  return new SocketOptionError(
    `There is no port budget on ${process.platform}: it needs Linux and /proc`,
    {
      code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
    },
  )
}

/** As the kernel does: an end that lies outside of the system's range is not regarded. */
function confine(system: PortRange, asked: PortRange): PortRange {
  const isInside = (port: number): boolean => port >= system.min && port <= system.max
  return {
    min: isInside(asked.min) ? asked.min : system.min,
    max: isInside(asked.max) ? asked.max : system.max,
  }
}

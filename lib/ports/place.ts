/** Places: pairs of addresses whose ports are counted, and the rules by which connect(2) chooses ports there. */
import { isIP, isIPv4 } from 'node:net'
import { constants as os } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { ipAddress, realPort, wrongFamily, type IpFamily } from '../connect/address'
import { portChoiceHere } from '../connect/port-choice'
import { sourceFor } from '../connect/local-address'
import { ArgumentTypeError, ArgumentValueError, SocketTunerError } from '../errors'
import { plainAddress } from '../kernel/addresses'
import { contentOrThrow, reservedPorts, systemPortRange, type PortRange } from '../kernel/proc'
import { onDemand } from '../node/on-demand'
import { custom, spec, type InputOf } from '../spec'
import { portRange } from './filter'
import { heldMs, reuseBetween, reuseFacts, type TimeWaitReuse } from './time-wait-reuse'

/** A host name, or an IP address in canonical form. */
export const hostOption = custom<string>('an IP address or a host name', checkHost)

export const destinationOptions = spec({
  /**
   * An IP address or a host name. A name is looked up by dns.lookup(), as net.connect() does. Each of its
   * addresses has its own ports and is counted separately.
   */
  remoteAddress: hostOption.required(),
  /** The destination port. */
  remotePort: realPort.required(),
  /** The source address. Default: the one that the kernel chooses for this destination. */
  localAddress: ipAddress,
  /** The value of IP_LOCAL_PORT_RANGE on the connections. Default: not set. */
  portRange,
})

/** The destination of connections, and their source. */
export type Destination = InputOf<typeof destinationOptions>

/** A checked destination, whose host name is not looked up yet. */
export interface CheckedDestination {
  /** The IP address in the form of plainAddress(), or the host name. */
  readonly remoteAddress: string
  readonly isName: boolean
  readonly remotePort: number
  readonly source: string | undefined
  readonly asked: PortRange | undefined
}

/** One source address, one destination address and port. */
export interface Place {
  readonly family: IpFamily
  /** The host name; undefined if the caller passed an address. */
  readonly host: string | undefined
  readonly remoteAddress: string
  /** The address for connect(2), with its zone. */
  readonly reachedAt: string
  readonly remotePort: number
  readonly localAddress: string
  /** Whether the caller chose `localAddress`; otherwise the kernel did. */
  readonly hasOwnSource: boolean
  readonly asked: PortRange | undefined
}

/** The current rules of a place. */
export interface PortRules {
  readonly range: PortRange
  /** net.ipv4.ip_local_reserved_ports. */
  readonly reserved: readonly PortRange[]
  readonly reuse: TimeWaitReuse
  /** Milliseconds for which a port is occupied after a close that leaves TIME_WAIT. */
  readonly heldMs: number
  /** Whether ports of one parity are used first, and the others only when none of those is free. */
  readonly inHalves: boolean
}

/** Excludes URLs, brackets, zones and blanks. Otherwise lenient, because resolvers accept more than RFC 1123. */
const HOST_NAME = /^[^\s\0:/?#@[\]%]{1,255}$/

/** The addresses that Linux connects to for the unspecified ones. */
const reached = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
])

/**
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION, ERR_SOCKET_TUNER_ADDRESS_FAMILY
 */
export function checkDestination(argument: string, destination: unknown): CheckedDestination {
  const checked = destinationOptions.check(argument, destination)
  const { remoteAddress, remotePort, localAddress, portRange: asked } = checked
  const isName = isIP(remoteAddress) === 0
  const source = localAddress === undefined ? undefined : plainAddress(localAddress)
  if (source !== undefined && !isName && familyIn(source) !== familyIn(remoteAddress))
    throw wrongFamily(`${argument}.localAddress`, source, familyIn(remoteAddress))
  return { remoteAddress, isName, remotePort, source, asked }
}

function checkHost(argument: string, host: unknown): string {
  if (typeof host !== 'string') throw new ArgumentTypeError(argument, 'of type string', host)
  if (isIP(host) !== 0) return reachedBy(host)
  if (!HOST_NAME.test(host))
    throw new ArgumentValueError(argument, 'must be an IP address or a host name', host)
  return host
}

/** Keeps the zone of a link-local address: connect(2) needs it to find the interface. */
function reachedBy(address: string): string {
  if (address.includes('%')) return address
  // An IPv6 socket with an IPv4 peer uses the ports of IPv4.
  const plain = plainAddress(address)
  return reached.get(plain) ?? plain
}

function familyIn(address: string): IpFamily {
  return isIPv4(address) ? 4 : 6
}

/**
 * Returns the distinct addresses of a host name in the order of the resolver; for an address, the address itself.
 *
 * @throws (as a rejection) the error of dns.lookup(), for example ENOTFOUND or EAI_AGAIN
 */
export async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [reachedBy(host)]
  const found = await onDemand.dns.promises.lookup(host, { all: true })
  return [...new Set(found.map(({ address }) => reachedBy(address)))]
}

type AtLeastOne<T> = readonly [T, ...T[]]

/**
 * Returns the places of a destination, one for each address. Unreachable addresses of a name are left out, for
 * example IPv6 addresses on a host without IPv6, unless all are unreachable.
 *
 * @throws (as a rejection) what addressesOf() throws; ERR_SOCKET_TUNER_ADDRESS_FAMILY if the name has no address
 *   in the family of the source; the name of the errno if this host has no source for any address
 */
export async function placesOf(destination: CheckedDestination): Promise<AtLeastOne<Place>> {
  const { remoteAddress, isName, source } = destination
  if (!isName) return [placeAt(destination, remoteAddress)]
  const all = await addressesOf(remoteAddress)
  const [first = ''] = all
  const fitting = all.filter(
    (address) => source === undefined || familyIn(address) === familyIn(source),
  )
  if (fitting.length === 0 && source !== undefined)
    throw wrongFamily(`The source of ${remoteAddress}`, source, familyIn(first))
  const places: Place[] = []
  let failure: unknown
  for (const address of fitting) {
    try {
      places.push(placeAt(destination, address))
    } catch (error) {
      failure ??= error
    }
  }
  const [place, ...others] = places
  if (place === undefined) throw failure
  return [place, ...others]
}

/** @throws the name of the errno if this host has no source for the address */
export function placeAt(destination: CheckedDestination, address: string): Place {
  const { remoteAddress, isName, remotePort, source, asked } = destination
  const family = familyIn(address)
  return {
    family,
    host: isName ? remoteAddress : undefined,
    remoteAddress: plainAddress(address),
    reachedAt: address,
    remotePort,
    localAddress: source ?? sourceOf(family, address),
    hasOwnSource: source !== undefined,
    asked,
  }
}

/** @throws the name of the errno if this host has no source for the address */
export function sourceOf(family: IpFamily, address: string): string {
  const source = sourceFor(family, address)
  if (typeof source === 'string') return plainAddress(source)
  if (source === -os.errno.EOPNOTSUPP) throw notHere()
  const code = getSystemErrorName(source)
  const what = sourceFailure(code, address)
  throw new SocketTunerError(what, { code, errno: source, syscall: 'connect', address })
}

function sourceFailure(code: string, address: string): string {
  switch (code) {
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
    case 'EADDRNOTAVAIL':
      return `This host has no source address for ${address} (${code}): check 'ip route get ${address}', or pass localAddress`
    case 'EINVAL':
      return `${address} cannot be reached without its zone, as in fe80::1%eth0 (${code})`
    default:
      return `The source address for ${address} cannot be determined (${code})`
  }
}

/** @throws ERR_SOCKET_TUNER_UNSUPPORTED without /proc; EMFILE or similar if it cannot be read now */
export function rulesOf({ localAddress, remoteAddress, asked }: Place): PortRules {
  const read = readSetting
  const system = systemPortRange(read)
  if (system === undefined) throw notHere()
  const reuse = reuseBetween(reuseFacts(read), localAddress, remoteAddress)
  return {
    range: asked === undefined ? system : confine(system, asked),
    reserved: reservedPorts(read) ?? [],
    reuse,
    heldMs: heldMs(reuse),
    inHalves: asked === undefined || portChoiceHere() !== 'whole',
  }
}

function readSetting(file: string): string {
  try {
    return contentOrThrow(file)
  } catch (error) {
    const { code = 'EIO', errno, syscall } = error as NodeJS.ErrnoException
    const message = `${file} cannot be read (${code})`
    throw new SocketTunerError(message, { code, errno, syscall, cause: error })
  }
}

function notHere(): SocketTunerError {
  return new SocketTunerError(
    process.platform === 'linux'
      ? 'Ports cannot be counted here: /proc/sys/net/ipv4/ip_local_port_range cannot be read; mount /proc'
      : `Ports cannot be counted on ${process.platform}: this needs Linux`,
    {
      code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
    },
  )
}

/** As in the kernel: an end outside of the system's range is ignored. */
function confine(system: PortRange, asked: PortRange): PortRange {
  const isInside = (port: number): boolean => port >= system.min && port <= system.max
  return {
    min: isInside(asked.min) ? asked.min : system.min,
    max: isInside(asked.max) ? asked.max : system.max,
  }
}

/** Between which addresses ports are looked at, and by what rules connect(2) takes them there. */
import { lookup } from 'node:dns/promises'
import { isIP, isIPv4 } from 'node:net'
import { constants as os } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { ipAddress, realPort, wrongFamily, type IpFamily } from '../connect/address'
import { portChoiceHere } from '../connect/port-choice'
import { sourceFor } from '../connect/source-for'
import { ArgumentTypeError, ArgumentValueError, SocketTunerError } from '../errors'
import { plainAddress } from '../kernel/addresses'
import { contentOrThrow, reservedPorts, systemPortRange } from '../kernel/proc'
import type { PortRange } from '../options/values'
import { custom, spec, type InputOf } from '../spec'
import { portRange } from './filter'
import { heldMs, reuseBetween, reuseFacts, type TimeWaitReuse } from './reuse'

/** A host name, or an IP address in one spelling. */
export const hostOption = custom<string>('an IP address or a host name', checkHost)

export const destinationOptions = spec({
  /**
   * An IP address or a host name. A name is looked up as net.connect() does it, by dns.lookup(), and
   * each of its addresses is counted by itself: each has ports of its own.
   */
  remoteAddress: hostOption.required(),
  /** 1 to 65535 */
  remotePort: realPort.required(),
  /** The source address. Default: the one that the kernel takes for this destination. */
  localAddress: ipAddress,
  /** What IP_LOCAL_PORT_RANGE is set to on the connections. Default: it is not set. */
  portRange,
})

/** Where connections go to, and from where. */
export type Destination = InputOf<typeof destinationOptions>

/** The same, checked; a host name is not looked up yet. */
export interface CheckedDestination {
  /** The IP address, as plainAddress() writes it, or the host name. */
  readonly remoteAddress: string
  readonly isName: boolean
  readonly remotePort: number
  readonly source: string | undefined
  readonly asked: PortRange | undefined
}

/** One source address, one destination address and port. */
export interface Place {
  readonly family: IpFamily
  /** The name that the address was found by; undefined where the caller gave the address. */
  readonly host: string | undefined
  readonly remoteAddress: string
  /** The same as connect(2) needs it: with its zone. */
  readonly reachedAt: string
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

/** Neither part of an address, of a URL, nor blank: RFC 1123 and what resolvers take beside it. */
const HOST_NAME = /^[^\s\0:/?#@[\]%]{1,255}$/

/** Where Linux connects to when it is given no address. */
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

/** A link-local address keeps its zone: without it connect(2) does not know the interface. */
function reachedBy(address: string): string {
  if (address.includes('%')) return address
  // An IPv6 socket that has an IPv4 peer shares its ports with IPv4.
  const plain = plainAddress(address)
  return reached.get(plain) ?? plain
}

function familyIn(address: string): IpFamily {
  return isIPv4(address) ? 4 : 6
}

/**
 * The addresses of a host name, in the order of the resolver, each once; an address is its own.
 *
 * @throws (as a rejection) what dns.lookup() gives, as ENOTFOUND and EAI_AGAIN
 */
export async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [reachedBy(host)]
  const found = await lookup(host, { all: true })
  return [...new Set(found.map(({ address }) => reachedBy(address)))]
}

type AtLeastOne<T> = readonly [T, ...T[]]

/**
 * The places of a destination, one for each address. Those of a name that cannot be reached from here, as
 * its IPv6 addresses on a host that has none, are left out unless all are.
 *
 * @throws (as a rejection) what addressesOf() throws; ERR_SOCKET_TUNER_ADDRESS_FAMILY where the name has
 *   no address of the source's family; an errno's name where this host has no source for any
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

/** @throws an errno's name where this host has no source for the address */
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

/** @throws an errno's name where this host has no source for the address */
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
      return `This host has no source address for ${address} (${code}): see 'ip route get ${address}', or name a source as localAddress`
    case 'EINVAL':
      return `${address} needs its zone, as in fe80::1%eth0, to be reached (${code})`
    default:
      return `The source address for ${address} cannot be found out (${code})`
  }
}

/** @throws ERR_SOCKET_TUNER_UNSUPPORTED where there is no /proc; EMFILE and the like where it cannot be read now */
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
      : `There is no port budget on ${process.platform}: it needs Linux`,
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

/**
 * Keeps the search of connect() for a free port short.
 *
 * By default the kernel tries the ports of one parity first, and the other half only after all of them: once half
 * of the range is in use, every connect() takes thirty times as long, without an error. Since Linux 6.8, a socket
 * with IP_LOCAL_PORT_RANGE searches both parities alike. In Linux 6.3 to 6.7 the option only narrows the range;
 * small windows at random places then keep the search short. Older kernels lack the option.
 */
import { release } from 'node:os'
import { native } from '../kernel/binding'
import { isBefore, parseKernelVersion } from '../kernel/version'
import { sizeOf, systemPortRange, type PortRange } from '../kernel/proc'
import { onDemand } from '../node/on-demand'

export type PortChoice = 'whole' | 'windows' | 'kernel'

/** The kernel ignores bounds outside net.ipv4.ip_local_port_range, so this selects all of that range. */
const WHOLE = packed({ min: 1, max: 65535 })
const NO_RANGE = 0
const WINDOW = 256
/** The number of windows to try before the whole range. */
const WINDOWS_TRIED = 8

/** Returns the best method that this release of the kernel supports. */
export function portChoiceOf(platform: string, kernel: string): PortChoice {
  const version = parseKernelVersion(kernel)
  if (platform !== 'linux' || version === undefined || isBefore(version, '6.3')) return 'kernel'
  return isBefore(version, '6.8') ? 'windows' : 'whole'
}

let ofThisKernel: PortChoice | undefined

export function portChoiceHere(): PortChoice {
  return (ofThisKernel ??= portChoiceOf(process.platform, release()))
}

/** Prepares a socket for its first try. */
export function choosePorts(fd: number, choice: PortChoice): void {
  if (choice === 'whole') confine(fd, WHOLE)
  else if (choice === 'windows') confineToWindow(fd)
}

/** Prepares a socket for another try. Returns false if `tries` tries, counted from 1, were the last. */
export function chooseOtherPorts(fd: number, choice: PortChoice, tries: number): boolean {
  if (choice !== 'windows' || tries > WINDOWS_TRIED) return false
  if (tries === WINDOWS_TRIED) confine(fd, NO_RANGE)
  else confineToWindow(fd)
  return true
}

function confineToWindow(fd: number): void {
  const all = systemPortRange()
  if (all === undefined || sizeOf(all) <= WINDOW) return
  const min = all.min + onDemand.crypto.randomInt(sizeOf(all) - WINDOW + 1)
  confine(fd, packed({ min, max: min + WINDOW - 1 }))
}

function confine(fd: number, range: number): void {
  const { IPPROTO_IP, IP_LOCAL_PORT_RANGE } = native.constants
  if (IPPROTO_IP === undefined || IP_LOCAL_PORT_RANGE === undefined) return
  native.setInt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, range)
}

/** The layout of IP_LOCAL_PORT_RANGE in ip(7): the lower bound in the low 16 bits. */
function packed({ min, max }: PortRange): number {
  return min | (max << 16)
}

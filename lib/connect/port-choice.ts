/**
 * How connect() is made to choose its port.
 *
 * Left to itself the kernel takes ports of one parity first and searches the other half only then,
 * port after port: with half of the range in use every connect() becomes thirty times as slow, with
 * no error. From Linux 6.8 a socket with IP_LOCAL_PORT_RANGE set searches all ports alike. From 6.3 on
 * the option only confines: small windows at random keep the search short. Before that there is none.
 */
import { randomInt } from 'node:crypto'
import { release } from 'node:os'
import { native } from '../kernel/binding'
import { isBefore, parseKernelVersion } from '../kernel/version'
import { sizeOf, systemPortRange } from '../kernel/proc'
import type { PortRange } from '../options/values'

export type PortChoice = 'whole' | 'windows' | 'kernel'

/** 1 to 65535: the kernel leaves the ends of net.ipv4.ip_local_port_range where one lies outside of it. */
const WHOLE = packed({ min: 1, max: 65535 })
const NO_RANGE = 0
const WINDOW = 256
/** Windows that are tried before the whole range is. */
const WINDOWS_TRIED = 8

/** The best that a kernel of this release has. */
export function portChoiceOf(platform: string, kernel: string): PortChoice {
  const version = parseKernelVersion(kernel)
  if (platform !== 'linux' || version === undefined || isBefore(version, '6.3')) return 'kernel'
  return isBefore(version, '6.8') ? 'windows' : 'whole'
}

let ofThisKernel: PortChoice | undefined

export function portChoiceHere(): PortChoice {
  return (ofThisKernel ??= portChoiceOf(process.platform, release()))
}

/** Prepares a socket for its first try; a kernel that lacks the option chooses as it does. */
export function choosePorts(fd: number, choice: PortChoice): void {
  if (choice === 'whole') confine(fd, WHOLE)
  else if (choice === 'windows') confineToWindow(fd)
}

/** Prepares it for try number `tries`, counted from 1; false when there is nothing more to try. */
export function chooseOtherPorts(fd: number, choice: PortChoice, tries: number): boolean {
  if (choice !== 'windows' || tries > WINDOWS_TRIED) return false
  if (tries === WINDOWS_TRIED) confine(fd, NO_RANGE)
  else confineToWindow(fd)
  return true
}

function confineToWindow(fd: number): void {
  const all = systemPortRange()
  if (all === undefined || sizeOf(all) <= WINDOW) return
  const min = all.min + randomInt(sizeOf(all) - WINDOW + 1)
  confine(fd, packed({ min, max: min + WINDOW - 1 }))
}

function confine(fd: number, range: number): void {
  const { IPPROTO_IP, IP_LOCAL_PORT_RANGE } = native.constants
  if (IPPROTO_IP === undefined || IP_LOCAL_PORT_RANGE === undefined) return
  native.setInt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, range)
}

/** As ip(7) lays IP_LOCAL_PORT_RANGE out: the lower end in the low half. */
function packed({ min, max }: PortRange): number {
  return min | (max << 16)
}

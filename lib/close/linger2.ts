/** TCP_LINGER2 of one descriptor: tcp(7). */
import { native } from '../kernel/binding'
import type { ClosingPolicy } from './mode'

const FORGET_WHEN_ACKNOWLEDGED = -1
const SYSCTL_DEFAULT = 0

/** Whether this platform has it. */
export const hasLinger2 = native.constants.TCP_LINGER2 !== undefined

/** Sets whether the kernel drops the connection when its FIN is acknowledged. Returns 0 or the negated errno. */
export function setForgotten(fd: number, on: boolean): number {
  const { IPPROTO_TCP, TCP_LINGER2 } = native.constants
  if (IPPROTO_TCP === undefined || TCP_LINGER2 === undefined) return 0
  return native.setInt(fd, IPPROTO_TCP, TCP_LINGER2, on ? FORGET_WHEN_ACKNOWLEDGED : SYSCTL_DEFAULT)
}

/** Resets the option that the listening socket handed down, for a close that keeps TIME_WAIT. */
export function disarm(policy: ClosingPolicy, fd: number): void {
  if (!policy.armed) return
  setForgotten(fd, false)
  policy.armed = false
}

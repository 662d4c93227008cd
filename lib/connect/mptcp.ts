/** Multipath TCP (RFC 8684) if the kernel has it, else TCP. */
import { constants as os } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { native } from '../kernel/binding'
import { announce } from '../warnings'

/** The errors of socket(2): net.mptcp.enabled is 0; the kernel was built without MPTCP; it is older than Linux 5.6. */
const WITHOUT_MPTCP: ReadonlySet<number> = new Set([
  -os.errno.ENOPROTOOPT,
  -os.errno.EPROTONOSUPPORT,
  -os.errno.EINVAL,
])

/** Whether to try an MPTCP socket. Warns if one is wanted and the platform has none. */
export function triesMptcp(wanted: boolean): boolean {
  if (!wanted || native.constants.IPPROTO_MPTCP !== undefined) return wanted
  announceTcp(process.platform)
  return false
}

/** Whether a failure of socket(2) means that the kernel has no MPTCP. Warns if so. */
export function fallsBackToTcp(errno: number): boolean {
  if (!WITHOUT_MPTCP.has(errno)) return false
  announceTcp(getSystemErrorName(errno))
  return true
}

/** @param reason the cause, for the message */
function announceTcp(reason: string): void {
  announce(
    'SOCKET_TUNER_MPTCP_UNAVAILABLE',
    reason,
    `Used TCP instead of MPTCP: the kernel refuses MPTCP sockets (${reason})`,
  )
}

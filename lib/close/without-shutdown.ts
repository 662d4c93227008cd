/** How a stream's writing ends where no shutdown() may go before close(2): the FIN or RST goes out with that. */
import type * as net from 'node:net'
import { native } from '../kernel/binding'
import type { Final } from '../node/closing'
import { transportFd } from '../node/handle'
import type { ClosePolicy } from './mode'
import { hasSendRoom, isAcknowledged } from './pending'
import { pollUntil } from './poll'
import { awaitsTickets, hasRead, isTls } from './tls'

/** Ends the stream's writing without a shutdown(). @param final Node's own way, which makes one */
export function finishWithoutShutdown(
  socket: net.Socket,
  policy: ClosePolicy,
  final: Final,
  callback: (error?: Error | null) => void,
): void {
  if (socket.pending) {
    socket.once('connect', () => {
      callback()
    })
    return
  }
  const { mode, closeNotify, deadlineMs } = policy
  const endsTls = mode.withoutShutdown === 'notify'
  const notify = endsTls && closeNotify && isTls(socket)
  // Known when the handshake is over, which it is when everything was written.
  const holds = endsTls && awaitsTickets(socket)
  if (!notify && !holds) {
    callback()
    return
  }
  // On TLS Node's own way writes close_notify in this tick and asks libuv for a shutdown(), which
  // libuv makes in the next turn of its loop; the destroy() that follows 'finish' comes before
  // that and cancels it. A close_notify that had to wait for room would be cancelled with it.
  const deadline = performance.now() + deadlineMs
  const isLate = (): boolean => performance.now() > deadline
  const isReady = (): boolean => {
    const fd = transportFd(socket)
    if (fd < 0 || socket.destroyed || isLate()) return true
    if (notify && !hasSendRoom(fd)) return false
    return !holds || isAcknowledged(fd)
  }
  pollUntil(isReady, () => {
    if (socket.destroyed) return
    // Where nothing has come yet, the tickets have not either: the FIN waits for close_notify to be
    // acknowledged, too. Who has waited long enough does not wait again.
    const goesAtOnce = !holds || hasRead(socket) || isLate()
    policy.held = holds && goesAtOnce
    if (notify) {
      if (goesAtOnce) holdBack(socket)
      final.call(socket, ignore)
    }
    callback()
  })
}

/** Lets close_notify leave together with the FIN, so that the peer cannot answer in between by a close. */
function holdBack(socket: net.Socket): void {
  const { IPPROTO_TCP, TCP_CORK } = native.constants
  const fd = transportFd(socket)
  if (fd < 0 || IPPROTO_TCP === undefined || TCP_CORK === undefined) return
  native.setInt(fd, IPPROTO_TCP, TCP_CORK, 1)
}

function ignore(): void {
  // The shutdown is cancelled on purpose.
}

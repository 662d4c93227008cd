/** Ends a stream's writing where no shutdown() may precede close(2), which sends the FIN or the RST. */
import type * as net from 'node:net'
import type { Final } from '../node/closing'
import { transportFd } from '../node/handle'
import { setCork } from './cork'
import type { ClosePolicy } from './mode'
import { hasSendRoom, isAcknowledged } from './pending'
import { pollUntil } from './poll'
import { awaitsTickets, hasRead, isTls } from './tls'

/** Ends the stream's writing without a shutdown(). @param final Node's own `_final`, which makes one */
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
  const { mode, closeNotify, deadlineMs } = policy.options
  const endsTls = mode.withoutShutdown === 'notify'
  const notify = endsTls && closeNotify && isTls(socket)
  // The TLS version is known, since data is written only after the handshake.
  const holds = endsTls && awaitsTickets(socket)
  if (!notify && !holds) {
    callback()
    return
  }
  // On TLS, Node's own `_final` writes close_notify in this tick and requests a shutdown(), which libuv would make in
  // the next turn of its loop. The destroy() that follows 'finish' comes first and cancels it. It would also cancel a
  // close_notify that has to wait for room.
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
    // If no data has come yet, the tickets have not either, and the FIN also waits until close_notify is acknowledged.
    // After the deadline, it waits no longer.
    const goesAtOnce = !holds || hasRead(socket) || isLate()
    policy.held = holds && goesAtOnce
    if (notify) {
      // close_notify leaves together with the FIN, so that the peer cannot close in between.
      if (goesAtOnce) setCork(socket, true)
      final.call(socket, ignore)
    }
    callback()
  })
}

function ignore(): void {
  // The shutdown is cancelled on purpose.
}

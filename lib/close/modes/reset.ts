import { native } from '../../kernel/binding'
import { connectionState } from '../../observe/tcp-info'
import { hazard } from '../../warnings'
import type { CloseMode, Done, Ending } from '../mode'
import { bytesNotInKernel, transferred } from '../pending'
import { armReset } from '../reset-cost'
import { closeNotifySize, withoutCloseNotify } from '../tls'

/** Sends a RST. Data that the peer has not acknowledged is discarded and counted. */
export const reset: CloseMode = {
  name: 'reset',
  summary: 'RST; unacknowledged data is discarded, and counted',
  atOnce: true,
  withoutShutdown: true,
  holdsLastWrite: false,
  inherited: false,
  keepsTimeWait: false,
  holdsDescriptor: false,
  onDescriptor: { resets: true, forgets: false },
  close: closeWithReset,
  warn(socket, fd) {
    const { state, timestamps } = connectionState(fd)
    if (state === 'ESTABLISHED' && !timestamps) {
      hazard(
        'SOCKET_TUNER_RESET_WITHOUT_TIMESTAMPS',
        'reset',
        'A reset without TCP timestamps skips TIME_WAIT',
      )
    }
    const bytes = bytesNotInKernel(socket) + Math.max(0, native.unacknowledgedBytes(fd))
    if (bytes > 0)
      hazard('SOCKET_TUNER_RESET_DISCARDS', 'reset', `A reset would discard ${String(bytes)} bytes`)
  },
}

function closeWithReset(ending: Ending, done: Done): void {
  const { policy, fd } = ending
  const { socket } = policy
  const cost = armReset(fd, bytesNotInKernel(socket), ending, transferred(socket, 0))
  const { peerFinished, ...outcome } = cost
  const alert = closeNotifySize(socket)
  done({ ...outcome, unreadBytes: withoutCloseNotify(cost.unreadBytes, alert, peerFinished) })
}

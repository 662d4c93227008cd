import { native } from '../../kernel/binding'
import { connectionState } from '../../observe/tcp-info'
import { hazard } from '../../warnings'
import type { CloseMode, Done, Ending } from '../mode'
import { bytesNotInKernel, readBytes } from '../pending'
import { armReset } from '../reset-cost'
import { closeNotifySize, withoutCloseNotify } from '../tls'

/** A RST: what the peer has not acknowledged is thrown away, and counted. */
export const reset: CloseMode = {
  name: 'reset',
  summary: 'RST; what was not acknowledged is thrown away, and counted',
  atOnce: true,
  withoutShutdown: true,
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
      hazard(
        'SOCKET_TUNER_RESET_DISCARDS',
        'reset',
        `A reset would throw away ${String(bytes)} bytes`,
      )
  },
}

function closeWithReset({ policy, fd, finOrder }: Ending, done: Done): void {
  const { socket } = policy
  const cost = armReset(
    fd,
    bytesNotInKernel(socket),
    { finOrder, streamEnded: socket.readableEnded },
    readBytes(socket, 0),
  )
  const { peerFinished, ...outcome } = cost
  const alert = closeNotifySize(socket)
  done({ ...outcome, unreadBytes: withoutCloseNotify(cost.unreadBytes, alert, peerFinished) })
}

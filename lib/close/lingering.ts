import * as net from 'node:net'
import { native } from '../binding'
import { connectionState } from '../observe/tcp-info'
import { announce } from '../warnings'
import { closeWithFin } from './fin'
import { bytesNotInKernel } from './pending'
import type { ClosePolicy } from './policy'
import type { CloseOutcome } from './report'

/** What is thrown away need not be kept apart: all lingering closes read into the same memory. */
let sink: Buffer | undefined

/**
 * Takes the connection over from its net.Socket, which is about to be closed: the FIN goes out, and
 * what the peer still sends is read and thrown away until it has finished or a deadline passes.
 * While input is read no RST is sent, so the peer gets everything that was written (nginx's
 * lingering_close).
 *
 * `done` is called when the connection is closed for good.
 */
export function closeLingering(
  policy: ClosePolicy,
  fd: number,
  done: (outcome: CloseOutcome) => void,
): void {
  const { state } = connectionState(fd)
  if (state !== 'ESTABLISHED' && state !== 'FIN_WAIT1' && state !== 'FIN_WAIT2') {
    done({ ...closeWithFin(policy, fd), mode: 'lingering' })
    return
  }
  const copy = native.duplicateFd(fd)
  if (copy < 0) {
    done({
      ...closeWithFin(policy, fd),
      fallback: `no descriptor to linger with (errno ${String(-copy)})`,
    })
    return
  }
  native.shutdownWrite(copy)
  const discardedBytes = bytesNotInKernel(policy.socket)
  readToEnd(copy, policy, (unreadBytes, fallback) => {
    done({
      mode: 'lingering',
      ...(fallback === undefined ? {} : { fallback }),
      discardedBytes,
      unreadBytes,
      timeWait: fallback === undefined ? 'here' : 'unknown',
    })
  })
}

/** Owns `fd` from here on. */
function readToEnd(
  fd: number,
  { timeoutMs, idleTimeoutMs }: ClosePolicy,
  done: (discarded: number, fallback: string | undefined) => void,
): void {
  sink ??= Buffer.allocUnsafeSlow(65536)
  let discarded = 0
  let fallback: string | undefined
  const options: net.SocketConstructorOpts & Pick<net.ConnectOpts, 'onread'> = {
    fd,
    readable: true,
    writable: false,
    onread: {
      buffer: sink,
      callback: (count) => {
        discarded += count
        return true
      },
    },
  }
  const rest = new net.Socket(options)
  const deadline = setTimeout(() => {
    fallback = `the peer was still sending after ${String(timeoutMs)} ms`
    announce(
      'SOCKET_TUNER_LINGERING_DEADLINE',
      'lingering',
      `Ended a lingering close: ${fallback}; it is reset`,
    )
    rest.destroy()
  }, timeoutMs)
  rest.setTimeout(idleTimeoutMs, () => {
    fallback = `the peer sent nothing for ${String(idleTimeoutMs)} ms and did not finish`
    rest.destroy()
  })
  rest.on('error', (error) => {
    fallback ??= `the peer ended with ${(error as NodeJS.ErrnoException).code ?? error.message}`
  })
  rest.on('close', () => {
    clearTimeout(deadline)
    done(discarded, fallback)
  })
  rest.resume()
}

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { SocketTunerWarning, WarningCode } from '../../lib'

/** Resolves with the message of the next warning with this code. */
export function nextWarning(code: WarningCode): Promise<string> {
  return new Promise((resolve) => {
    const listener = (message: unknown): void => {
      const warning = message as SocketTunerWarning
      if (warning.code !== code) return
      unsubscribe('socket-tuner:warning', listener)
      resolve(warning.message)
    }
    subscribe('socket-tuner:warning', listener)
  })
}

import { SocketOptionError, checkBoolean, checkObject } from '../../errors'
import { Struct } from '../../kernel/bytes'
import { lingerLayout } from '../../kernel/layouts'
import { wholeField, type BytesCodec } from '../codec'

/** SO_LINGER as it is read: `seconds` is 0 while it is not `enabled`. */
export interface Linger {
  enabled: boolean
  /** 0 to 2147483647 s (327 on macOS); with 0, close() sends a RST and discards unsent data. */
  seconds: number
}

/** SO_LINGER as it is set. */
export interface LingerInput extends Linger {
  /** Required for `seconds` above 0: close() then blocks the event loop for up to that time. */
  blocking?: boolean
}

/** macOS stores the time in 16 bits, in ticks of 10 ms. */
const MAX_SECONDS = process.platform === 'darwin' ? 327 : 2 ** 31 - 1

export const linger: BytesCodec<Linger, LingerInput> = {
  carries: 'bytes',
  type: 'Linger',
  inputType: 'LingerInput',
  shown: '{ enabled, seconds }',
  encode: (option, _row, value) => {
    checkObject(option, value)
    const { enabled, blocking } = value
    checkBoolean(`${option}.enabled`, enabled)
    const seconds = wholeField(option, value, 'seconds', MAX_SECONDS)
    if (blocking !== undefined) checkBoolean(`${option}.blocking`, blocking)
    if (enabled && seconds > 0 && blocking !== true) {
      throw new SocketOptionError(
        `${option} with ${String(seconds)} s makes close() of this socket block the event loop for up to that time. ` +
          "Use closeSocket(socket, 'deliver'), or add blocking: true if the process may block.",
        {
          code: 'ERR_SOCKET_TUNER_BLOCKING_LINGER',
          option,
          level: 'SOL_SOCKET',
          value: { enabled, seconds },
        },
      )
    }
    return lingerBytes(enabled, seconds)
  },
  decode: (value) => {
    const struct = new Struct(value)
    const enabled = struct.i32(lingerLayout.onoff) !== 0
    return { enabled, seconds: enabled ? struct.i32(lingerLayout.linger) : 0 }
  },
  capacity: () => lingerLayout.size,
  inheritedHazard: (encoded) =>
    new Struct(encoded).i32(lingerLayout.onoff) === 0
      ? undefined
      : {
          code: 'SOCKET_TUNER_LINGER_ON_LISTENER',
          message:
            'Every accepted connection inherits SO_LINGER from a listening socket: ' +
            'with 0 s, each close discards unsent bytes; with more, each close blocks the event loop',
        },
}

/** struct linger. */
export function lingerBytes(enabled: boolean, seconds: number): Uint8Array {
  return new Struct(new Uint8Array(lingerLayout.size))
    .setI32(lingerLayout.onoff, enabled ? 1 : 0)
    .setI32(lingerLayout.linger, seconds).bytes
}

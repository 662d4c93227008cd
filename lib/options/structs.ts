/** The options whose value is a struct: how each is laid out for the kernel. */
import { isIP, isIPv6 } from 'node:net'
import { isUint8Array } from 'node:util/types'
import { addressBytes, addressText } from '../kernel/addresses'
import { native } from '../kernel/binding'
import {
  ArgumentTypeError,
  ArgumentValueError,
  SocketOptionError,
  checkBoolean,
  checkObject,
  isObject,
  checkWhole,
} from '../errors'
import { U32_MAX, numberIn, wholeField, words, wordsOf, type BytesCodec } from './codec'
import { LITTLE, viewOf } from '../kernel/bytes'
import type { Credentials, Linger, MemoryInfo, SocketAddress, TransmitTime } from './values'

/** macOS keeps them in 16 bits, in ticks of 10 ms. */
const MAX_LINGER_SECONDS = process.platform === 'darwin' ? 327 : 2 ** 31 - 1

export const linger: BytesCodec<Linger> = {
  carries: 'bytes',
  encode: (option, _row, value) => {
    checkObject(option, value)
    const { enabled, blocking } = value
    checkBoolean(`${option}.enabled`, enabled)
    const seconds = wholeField(option, value, 'seconds', MAX_LINGER_SECONDS)
    if (blocking !== undefined) checkBoolean(`${option}.blocking`, blocking)
    if (enabled && seconds > 0 && blocking !== true) {
      throw new SocketOptionError(
        `${option} with ${String(seconds)} s makes every close() of this socket stop the event loop for up to that time. ` +
          "Use closeSocket(socket, 'deliver'), or add blocking: true if the process may stop.",
        {
          code: 'ERR_SOCKET_TUNER_BLOCKING_LINGER',
          option,
          level: 'SOL_SOCKET',
          value: { enabled, seconds },
        },
      )
    }
    return words(enabled ? 1 : 0, seconds)
  },
  decode: (value) => {
    const [enabled = 0, seconds = 0] = wordsOf(value, 2)
    return enabled === 0 ? { enabled: false, seconds: 0 } : { enabled: true, seconds: seconds | 0 }
  },
  capacity: () => 8,
}

/** struct timeval is two words of the platform's own width; in JavaScript it is milliseconds. */
export const timeval: BytesCodec<number> = {
  carries: 'bytes',
  encode: (option, row, value) => {
    const milliseconds = numberIn(option, row, value, 0, 2 ** 31 - 1)
    const width = timevalWidth()
    const result = new Uint8Array(2 * width)
    setWord(result, 0, width, Math.floor(milliseconds / 1000))
    setWord(result, width, width, (milliseconds % 1000) * 1000)
    return result
  },
  decode: (value) => {
    const width = value.length / 2
    return getWord(value, 0, width) * 1000 + Math.round(getWord(value, width, width) / 1000)
  },
  capacity: () => 2 * timevalWidth(),
}

function timevalWidth(): number {
  return (native.constants.TIMEVAL_BYTES ?? 16) / 2
}

function setWord(target: Uint8Array, offset: number, width: number, value: number): void {
  if (width === 8) viewOf(target).setBigInt64(offset, BigInt(value), LITTLE)
  else viewOf(target).setInt32(offset, value, LITTLE)
}

function getWord(source: Uint8Array, offset: number, width: number): number {
  if (width === 8) return Number(viewOf(source).getBigInt64(offset, LITTLE))
  return viewOf(source).getInt32(offset, LITTLE)
}

export const credentials: BytesCodec<Credentials> = {
  carries: 'bytes',
  encode: readOnly,
  decode: (value) => {
    const [pid = 0, uid = 0, gid = 0] = wordsOf(value, 3)
    return { pid: pid | 0, uid, gid }
  },
  capacity: () => 12,
}

export const memoryInfo: BytesCodec<MemoryInfo> = {
  carries: 'bytes',
  encode: readOnly,
  decode: (value) => {
    const [
      rmemAlloc = 0,
      rcvbuf = 0,
      wmemAlloc = 0,
      sndbuf = 0,
      forwardAlloc = 0,
      wmemQueued = 0,
      optmem = 0,
      backlog = 0,
      drops = 0,
    ] = wordsOf(value, 9)
    return {
      rmemAlloc,
      rcvbuf,
      wmemAlloc,
      sndbuf,
      forwardAlloc,
      wmemQueued,
      optmem,
      backlog,
      drops,
    }
  },
  capacity: () => 36,
}

export const transmitTime: BytesCodec<TransmitTime> = {
  carries: 'bytes',
  encode: (option, _row, value) => {
    checkObject(option, value)
    return words(
      wholeField(option, value, 'clockId', 2 ** 31 - 1),
      wholeField(option, value, 'flags', U32_MAX),
    )
  },
  decode: (value) => {
    const [clockId = 0, flags = 0] = wordsOf(value, 2)
    return { clockId: clockId | 0, flags }
  },
  capacity: () => 8,
}

const SOCKADDR_IN6_BYTES = 28
const SOCKADDR_STORAGE_BYTES = 128

export const socketAddress: BytesCodec<SocketAddress> = {
  carries: 'bytes',
  encode: readOnly,
  decode: (value) => {
    const view = viewOf(value)
    const port = view.getUint16(2)
    const isSix = view.getUint16(0, LITTLE) === native.constants.AF_INET6
    const bytes = isSix ? value.subarray(8, 24) : value.subarray(4, 8)
    return { family: isSix ? 'IPv6' : 'IPv4', address: addressText(bytes), port }
  },
  capacity: () => SOCKADDR_IN6_BYTES,
}

const MD5_MAX_KEY = 80
/** struct tcp_md5sig: the peer's sockaddr_storage, flags, prefix length, key length, interface, key. */
const MD5_KEY_LENGTH_AT = SOCKADDR_STORAGE_BYTES + 2
const MD5_KEY_AT = SOCKADDR_STORAGE_BYTES + 8

export const md5Key: BytesCodec<never> = {
  carries: 'bytes',
  encode: (option, _row, value) => {
    // What stands here may be the key, by mistake too: none of it may get into a message.
    const secret = (part: unknown): string => `a value of type ${typeof part}`
    if (!isObject(value)) {
      throw new ArgumentTypeError(option, 'of type object', value, secret(value))
    }
    const { address, key } = value
    if (typeof address !== 'string') {
      const shown = secret(address)
      throw new ArgumentTypeError(`${option}.address`, 'of type string', address, shown)
    }
    if (isIP(address) === 0 || address.includes('%')) {
      const reason = 'must be an IP address without a zone'
      throw new ArgumentValueError(`${option}.address`, reason, address, secret(address))
    }
    if (!isUint8Array(key)) {
      const shown = secret(key)
      throw new ArgumentTypeError(`${option}.key`, 'an instance of Uint8Array', key, shown)
    }
    const copy = new Uint8Array(key)
    checkWhole(`${option}.key.length`, copy.length, 0, MD5_MAX_KEY)
    const result = new Uint8Array(MD5_KEY_AT + MD5_MAX_KEY)
    const view = viewOf(result)
    const { AF_INET = 0, AF_INET6 = 0 } = native.constants
    const isSix = isIPv6(address)
    view.setUint16(0, isSix ? AF_INET6 : AF_INET, LITTLE)
    result.set(addressBytes(address), isSix ? 8 : 4)
    view.setUint16(MD5_KEY_LENGTH_AT, copy.length, LITTLE)
    result.set(copy, MD5_KEY_AT)
    return result
  },
  decode: unreadable,
  capacity: () => 0,
}

const BPF_MAX_INSTRUCTIONS = 4096

export const filter: BytesCodec<never> = {
  carries: 'program',
  encode: (option, _row, value) => {
    if (!Array.isArray(value)) throw new ArgumentTypeError(option, 'an instance of Array', value)
    const { length } = value
    checkWhole(`${option}.length`, length, 1, BPF_MAX_INSTRUCTIONS)
    const result = new Uint8Array(8 * length)
    const view = viewOf(result)
    for (let index = 0; index < length; index++) {
      const name = `${option}[${String(index)}]`
      const instruction: unknown = value[index]
      checkObject(name, instruction)
      view.setUint16(8 * index, wholeField(name, instruction, 'code', 0xffff), LITTLE)
      view.setUint8(8 * index + 2, wholeField(name, instruction, 'jt', 0xff))
      view.setUint8(8 * index + 3, wholeField(name, instruction, 'jf', 0xff))
      view.setUint32(8 * index + 4, wholeField(name, instruction, 'k', U32_MAX), LITTLE)
    }
    return result
  },
  decode: unreadable,
  capacity: () => 0,
}

function readOnly(option: string): never {
  throw new SocketOptionError(`${option} cannot be set`, {
    code: 'ERR_SOCKET_TUNER_NOT_WRITABLE',
    option,
  })
}

function unreadable(): never {
  throw new SocketOptionError('The value cannot be read', { code: 'ERR_SOCKET_TUNER_NOT_READABLE' })
}

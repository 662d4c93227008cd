/** Lists the TCP sockets of this network namespace off the event loop: see native/kernel/socket_list.h. */
import { Buffer } from 'node:buffer'
import { addressText } from './addresses'
import { native } from './binding'
import { LITTLE, type ByteRun } from './bytes'
import { listedSocketLayout } from './layouts'
import { sockDiagFailure } from './sock-diag-failure'
import { tcpStates, type TcpState } from './tcp-states'

const { AF_INET6 } = native.constants
// V8 folds constants of this module, but loads imported ones on each access.
const socket = listedSocketLayout
const IPV4_BYTES = 4

/** @throws (as a rejection) ERR_SOCKET_TUNER_UNSUPPORTED; EOVERFLOW for more than 1,048,576 sockets; an errno name */
export function listSockets(
  states: readonly TcpState[],
): Promise<{ list: SocketList; processorMs: number }> {
  const wanted = states.reduce((sum, state) => sum | (1 << tcpStates.indexOf(state)), 0)
  return new Promise((resolve, reject) => {
    const begun = native.listSockets(wanted, (records, microseconds = 0) => {
      if (typeof records === 'number') reject(failure(records))
      else resolve({ list: new SocketList(records), processorMs: microseconds / 1000 })
    })
    if (begun < 0) reject(failure(begun))
  })
}

function failure(errno: number): Error {
  return sockDiagFailure(errno, 'Sockets cannot be listed')
}

/** Sockets, read in place. Only the methods that return text allocate. */
export class SocketList {
  readonly length: number
  readonly #buffer: Buffer
  readonly #view: DataView

  constructor(records: ArrayBuffer) {
    this.length = records.byteLength / socket.size
    this.#buffer = Buffer.from(records)
    this.#view = new DataView(records)
  }

  /** Returns SO_COOKIE, as a number: the kernel counts them from 1. */
  cookie(index: number): number {
    const at = index * socket.size + socket.cookie
    const high = this.#view.getUint32(at + (LITTLE ? 4 : 0), LITTLE)
    return high * 2 ** 32 + this.#view.getUint32(at + (LITTLE ? 0 : 4), LITTLE)
  }

  /** Returns 0 once no descriptor refers to the socket. */
  inode(index: number): number {
    return this.#view.getUint32(index * socket.size + socket.inode, LITTLE)
  }

  uid(index: number): number {
    return this.#view.getUint32(index * socket.size + socket.uid, LITTLE)
  }

  state(index: number): TcpState | undefined {
    return tcpStates[this.#view.getUint8(index * socket.size + socket.state)]
  }

  localPort(index: number): number {
    return this.#view.getUint16(index * socket.size + socket.localPort, LITTLE)
  }

  remotePort(index: number): number {
    return this.#view.getUint16(index * socket.size + socket.remotePort, LITTLE)
  }

  localAddress(index: number): string {
    return this.#address(index, socket.localAddress)
  }

  remoteAddress(index: number): string {
    return this.#address(index, socket.remoteAddress)
  }

  #address(index: number, { at, size }: ByteRun): string {
    const from = index * socket.size + at
    const isSix = this.#view.getUint8(index * socket.size + socket.family) === AF_INET6
    return addressText(this.#buffer.subarray(from, from + (isSix ? size : IPV4_BYTES)))
  }
}

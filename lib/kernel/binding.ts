import { constants as os } from 'node:os'
import { loadAddon } from './addon'

/**
 * The native addon. Each function makes one system call (applyBatch: several) and returns its
 * result, or the negated errno; arguments that are no descriptor, no 32-bit integer or no typed
 * array give -EINVAL. Nothing here throws.
 */
export interface Binding {
  /** Numbers of this platform by name; an option that the platform lacks is absent. */
  readonly constants: Readonly<Record<string, number | undefined>>
  /** The 32 bits of the value as an unsigned number; `| 0` gives the signed one. */
  getInt(fd: number, level: number, name: number): number
  setInt(fd: number, level: number, name: number, value: number): number
  /** Length read into the front of `out`. */
  getBytes(fd: number, level: number, name: number, out: Uint8Array): number
  setBytes(fd: number, level: number, name: number, value: Uint8Array): number
  /** Attaches a classic BPF program, eight bytes an instruction. */
  setProgram(fd: number, level: number, name: number, instructions: Uint8Array): number
  /** How many operations went well, which is the index of the one that failed. See native/kernel/batch.h. */
  applyBatch(fd: number, program: Int32Array, data: Uint8Array, count: number): number
  openSocket(domain: number, type: number, protocol: number): number
  closeFd(fd: number): number
  duplicateFd(fd: number): number
  /** RLIMIT_NOFILE, the soft limit (getrlimit(2)): above 2**53 when there is none. */
  descriptorLimit(): number
  bindFd(fd: number, address: string, port: number): number
  connectFd(fd: number, address: string, port: number): number
  listenFd(fd: number, backlog: number): number
  shutdownWrite(fd: number): number
  /** The bound port, 0 when there is none. */
  localPort(fd: number): number
  /** Length of the bound address, as text, a link-local one with its zone, written to the front of `out`. */
  localAddress(fd: number, out: Uint8Array): number
  /** Length of the name of a unix-domain socket written to the front of `out`; 0 when it is not bound. */
  localPath(fd: number, out: Uint8Array): number
  /** Makes an object close the descriptor when it is garbage, or when its thread ends. */
  ownFd(fd: number, owner: object): number
  /** The descriptor, the caller's from now on; -EBADF when it was given away before. */
  disownFd(owner: object): number
  /**
   * Counts TCP sockets in groups, off the event loop: see native/addon/exports.h. 0 when it is under way;
   * `done` is called later with the number of sockets, the records and the processor time that it
   * took, µs, or with the negated errno.
   */
  dumpSockets(
    families: number,
    states: number,
    groupBy: number,
    filter: Uint8Array,
    done: (
      total: number,
      records?: ArrayBuffer,
      interrupted?: boolean,
      microseconds?: number,
    ) => void,
  ): number
  /**
   * Removes TIME_WAIT entries, off the event loop. 0 when it is under way; `done` is called later with
   * the number that was removed, or the negated errno.
   */
  destroyTimeWait(filter: Uint8Array, done: (result: number) => void): number
  /** Bytes of received input thrown away. */
  discardInput(fd: number): number
  unreadBytes(fd: number): number
  unacknowledgedBytes(fd: number): number
  unsentBytes(fd: number): number
  /** What a signal of {@link writeOnSignal} writes to standard error, at most 4,096 bytes. */
  setSignalText(text: Uint8Array): number
  /**
   * Makes SIGTERM, SIGINT or SIGHUP write the text before it ends the process as ever: 1, or 0 where it
   * does not end it. A listener for the signal takes that away.
   */
  writeOnSignal(signal: number): number
  /** Length of struct tcp_info written to the front of `out`. */
  tcpInfo(fd: number, out: Uint8Array): number
}

/** On Windows Node gives no descriptors, so every call answers that it is not supported. */
function withoutAddon(): Binding {
  const fail = (): number => -os.errno.EOPNOTSUPP
  return {
    constants: {},
    getInt: fail,
    setInt: fail,
    getBytes: fail,
    setBytes: fail,
    setProgram: fail,
    applyBatch: fail,
    openSocket: fail,
    closeFd: fail,
    duplicateFd: fail,
    descriptorLimit: fail,
    bindFd: fail,
    connectFd: fail,
    listenFd: fail,
    shutdownWrite: fail,
    localPort: fail,
    localAddress: fail,
    localPath: fail,
    ownFd: fail,
    disownFd: fail,
    dumpSockets: fail,
    destroyTimeWait: fail,
    discardInput: fail,
    unreadBytes: fail,
    unacknowledgedBytes: fail,
    unsentBytes: fail,
    setSignalText: fail,
    writeOnSignal: fail,
    tcpInfo: fail,
  }
}

export const native: Binding =
  process.platform === 'win32' ? withoutAddon() : (loadAddon() as Binding)

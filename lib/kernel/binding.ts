import { constants as os } from 'node:os'
import { loadAddon } from './addon'

/**
 * The native addon. Each function makes one system call (applyBatch: several) and returns its result or the negated
 * errno. It returns -EINVAL for an argument of the wrong type. No function throws.
 */
export interface Binding {
  /** The constants of this platform by name. An option that the platform lacks is absent. */
  readonly constants: Readonly<Record<string, number | undefined>>
  /** Returns the 32 bits of the value as an unsigned number; `| 0` converts it to a signed one. */
  getInt(fd: number, level: number, name: number): number
  setInt(fd: number, level: number, name: number, value: number): number
  /** Writes the value to the start of `out` and returns its length. */
  getBytes(fd: number, level: number, name: number, out: Uint8Array): number
  setBytes(fd: number, level: number, name: number, value: Uint8Array): number
  /** Attaches a classic BPF program of eight bytes per instruction. */
  setProgram(fd: number, level: number, name: number, instructions: Uint8Array): number
  /** Returns the number of successful operations, which is the index of the failed one. See native/kernel/batch.h. */
  applyBatch(fd: number, program: Int32Array, data: Uint8Array, count: number): number
  openSocket(domain: number, type: number, protocol: number): number
  closeFd(fd: number): number
  duplicateFd(fd: number): number
  /** Returns the soft limit RLIMIT_NOFILE (getrlimit(2)); above 2**53 if there is none. */
  descriptorLimit(): number
  bindFd(fd: number, address: string, port: number): number
  connectFd(fd: number, address: string, port: number): number
  listenFd(fd: number, backlog: number): number
  shutdownWrite(fd: number): number
  /** Returns the bound port, or 0. */
  localPort(fd: number): number
  /** Writes the bound address as text to `out`, a link-local one with its zone, and returns its length. */
  localAddress(fd: number, out: Uint8Array): number
  /** Writes the path of a unix-domain socket to `out` and returns its length; 0 if the socket is not bound. */
  localPath(fd: number, out: Uint8Array): number
  /** Closes the descriptor when the object is garbage-collected, or when its thread ends. */
  ownFd(fd: number, owner: object): number
  /** Returns the descriptor, which the caller then owns; -EBADF if it was disowned before. */
  disownFd(owner: object): number
  /**
   * Counts TCP sockets in groups, off the event loop: see native/addon/exports.h. Returns 0 once started; `done`
   * is called later with the number of sockets, the records and the processor time used, µs, or with the negated
   * errno.
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
   * Lists the TCP sockets in these states, off the event loop: see native/kernel/socket_list.h. Returns 0 once started;
   * `done` is called later with the records and the processor time used, µs, or with the negated errno.
   */
  listSockets(
    states: number,
    done: (records: ArrayBuffer | number, microseconds?: number) => void,
  ): number
  /**
   * Makes `owner` own a subscription to ended sockets, which does not keep the event loop alive: see
   * native/addon/exports.h. Calls `wake` with the number of records in `records`, or once with the negated errno.
   * Returns 0, or -ENOSYS where the runtime has no libuv.
   */
  openEndedSockets(
    owner: object,
    records: Uint8Array,
    receiveBufferBytes: number,
    wake: (result: number) => void,
  ): number
  closeEndedSockets(owner: object): number
  /** Returns the number of lost broadcasts so far, modulo 2**32. */
  lostEndedSockets(owner: object): number
  /**
   * Removes TIME_WAIT entries, off the event loop. Returns 0 once started; `done` is called later with the number
   * of removed entries, or the negated errno.
   */
  destroyTimeWait(filter: Uint8Array, done: (result: number) => void): number
  /**
   * Returns the number of a new poller, which keeps the event loop alive: see native/addon/exports.h. Calls `wake` with
   * the number of records in `records`; what was read is in `input`. -ENOSYS where the runtime has no libuv.
   */
  openPoller(records: Int32Array, input: Uint8Array, wake: (records: number) => void): number
  closePoller(poller: number): number
  /** Returns the slot of a socket whose connect() has begun. */
  watchFd(poller: number, fd: number): number
  /** To be called right before the socket is closed. */
  unwatchSlot(poller: number, slot: number): number
  /** Returns the number of bytes that the kernel took; the rest follows. */
  writeToSlot(poller: number, slot: number, bytes: Uint8Array): number
  /** Returns the number of bytes that the kernel has not taken yet. */
  queuedInSlot(poller: number, slot: number): number
  /** Discards received input and returns the number of bytes. */
  discardInput(fd: number): number
  unreadBytes(fd: number): number
  unacknowledgedBytes(fd: number): number
  unsentBytes(fd: number): number
  /** Sets the text that {@link writeOnSignal} writes to standard error, at most 4,096 bytes. */
  setSignalText(text: Uint8Array): number
  /**
   * Makes SIGTERM, SIGINT or SIGHUP write the text before it ends the process. Returns 1, or 0 if the signal does
   * not end the process. A JavaScript listener for the signal replaces this handler.
   */
  writeOnSignal(signal: number): number
  /** Writes struct tcp_info to `out` and returns its length. */
  tcpInfo(fd: number, out: Uint8Array): number
}

/** Stands for the addon on Windows, where Node exposes no descriptors: every call returns -EOPNOTSUPP. */
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
    openPoller: fail,
    closePoller: fail,
    watchFd: fail,
    unwatchSlot: fail,
    writeToSlot: fail,
    queuedInSlot: fail,
    dumpSockets: fail,
    listSockets: fail,
    openEndedSockets: fail,
    closeEndedSockets: fail,
    lostEndedSockets: fail,
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

/**
 * Returns a copy. V8 keeps the many properties that an addon sets in a hash table, and those of a copy in fixed places.
 * A call of a function with two of the constants then costs half as much.
 */
function copyOf(addon: Binding): Binding {
  return { ...addon, constants: { ...addon.constants } }
}

export const native: Binding = copyOf(
  process.platform === 'win32' ? withoutAddon() : (loadAddon() as Binding),
)

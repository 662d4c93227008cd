/** Looks at the living sockets from time to time, for what the kernel no longer reports when a socket ends. */
import { listSockets, type SocketList } from '../kernel/socket-list'
import { findSocketProcesses, type SocketProcess } from '../kernel/socket-processes'
import { TimeSlices } from '../kernel/time-slices'
import { tcpStates, type TcpState } from '../kernel/tcp-states'
import { ReadingPace } from './reading-pace'

/** Without those of requests and entries, which are no sockets. */
const states = tcpStates.filter(
  (state): state is TcpState =>
    state !== undefined && !['SYN_RECV', 'NEW_SYN_RECV', 'TIME_WAIT', 'CLOSE'].includes(state),
)
/** Records between two checks of the clock. */
const CHECK_EVERY = 64
/** The share of a core that the search for processes takes. */
const SEARCH_SHARE = 0.01

/** What earlier looks showed of a connection. */
export interface SeenConnection {
  readonly state: TcpState | undefined
  readonly uid: number
  /** Undefined if it is not known, or if several processes hold the socket. */
  readonly process: SocketProcess | undefined
  readonly localAddress: string
  readonly remoteAddress: string
  readonly remotePort: number
  /** The time of the first look with it, and of the last look before that, on the monotonic clock, ms. */
  readonly firstSeen: number
  readonly lastWithout: number | undefined
}

interface SocketLook {
  readonly begun: number
  readonly list: SocketList
  readonly indexOf: ReadonlyMap<number, number>
  readonly firstSeen: Float64Array
  /** NaN if there was no look before the first one. */
  readonly lastWithout: Float64Array
  /** The inode of the last look in which a descriptor referred to the socket. */
  readonly inodes: Float64Array
}

export class ConnectionLooks {
  readonly #pace: ReadingPace
  #current: SocketLook | undefined
  #before: SocketLook | undefined
  #timer: NodeJS.Timeout | undefined
  #running = true
  #failed = 0
  #processes: ReadonlyMap<number, SocketProcess | undefined> = new Map()
  /** Inodes that a search did not find: it does not look for them again. */
  #hidden: ReadonlySet<number> = new Set()
  #nextSearch = 0
  #searchIsDue = false
  #listeners: ReadonlyMap<number, readonly number[]> = new Map()
  readonly #everListened = new Set<number>()

  constructor(intervalMs: number) {
    this.#pace = new ReadingPace(intervalMs)
    void this.#look()
  }

  /** The number of looks that failed. */
  get failed(): number {
    return this.#failed
  }

  /** The time of the last complete look, on the monotonic clock, ms; undefined before the first one. */
  get lastLook(): number | undefined {
    return this.#current?.begun
  }

  stop(): void {
    this.#running = false
    clearTimeout(this.#timer)
  }

  /** Returns what looks showed of the connection with this cookie. */
  seen(cookie: number): SeenConnection | undefined {
    // A socket may be missing in the look that is older than the report of its end.
    for (const look of [this.#current, this.#before]) {
      const index = look?.indexOf.get(cookie)
      if (look === undefined || index === undefined) continue
      const { list, firstSeen, lastWithout, inodes } = look
      const before = lastWithout[index] ?? NaN
      return {
        state: list.state(index),
        uid: list.uid(index),
        process: this.#processes.get(inodes[index] ?? 0),
        localAddress: list.localAddress(index),
        remoteAddress: list.remoteAddress(index),
        remotePort: list.remotePort(index),
        firstSeen: firstSeen[index] ?? 0,
        lastWithout: Number.isNaN(before) ? undefined : before,
      }
    }
    return undefined
  }

  /** Returns the one process that listens on a local port; undefined if there is none, or more than one. */
  listenerOf(port: number): SocketProcess | undefined {
    const found = (this.#listeners.get(port) ?? []).map((inode) => this.#processes.get(inode))
    const [first] = found
    return found.every((each) => each !== undefined && each.pid === first?.pid) ? first : undefined
  }

  /** Whether a look has shown a listening socket on this port; undefined before the first look. */
  wasListening(port: number): boolean | undefined {
    return this.#current === undefined ? undefined : this.#everListened.has(port)
  }

  async #look(): Promise<void> {
    const begun = performance.now()
    let cost = 0
    try {
      const { list, processorMs } = await listSockets(states)
      cost = processorMs + (await this.#take(list, begun))
      if (this.#running) await this.#search()
    } catch {
      // The reports go on, and say less.
      this.#failed++
    }
    if (!this.#running) return
    const pause = this.#pace.after(cost, Infinity)
    this.#timer = setTimeout(
      () => {
        void this.#look()
      },
      Math.max(0, begun + pause - performance.now()),
    ).unref()
  }

  /** Makes the list the current look. Returns the processor time that it took on the event loop, ms. */
  async #take(list: SocketList, begun: number): Promise<number> {
    const last = this.#current
    const indexOf = new Map<number, number>()
    const listeners = new Map<number, number[]>()
    const firstSeen = new Float64Array(list.length).fill(begun)
    const lastWithout = new Float64Array(list.length).fill(last?.begun ?? NaN)
    const inodes = new Float64Array(list.length)
    const slices = new TimeSlices()
    for (let index = 0; index < list.length; index++) {
      const cookie = list.cookie(index)
      const inode = list.inode(index)
      const before = last?.indexOf.get(cookie)
      indexOf.set(cookie, index)
      inodes[index] = inode
      if (last !== undefined && before !== undefined) {
        firstSeen[index] = last.firstSeen[before] ?? begun
        lastWithout[index] = last.lastWithout[before] ?? NaN
        if (inode === 0) inodes[index] = last.inodes[before] ?? 0
      }
      if (list.state(index) === 'LISTEN') {
        const port = list.localPort(index)
        const others = listeners.get(port)
        if (others === undefined) listeners.set(port, [inode])
        else others.push(inode)
        this.#everListened.add(port)
      }
      this.#searchIsDue ||= !this.#isSearched(inode)
      if (index % CHECK_EVERY === 0) await slices.pause()
    }
    this.#before = last
    this.#current = { begun, list, indexOf, firstSeen, lastWithout, inodes }
    this.#listeners = listeners
    return slices.busyMs
  }

  #isSearched(inode: number): boolean {
    return inode === 0 || this.#processes.has(inode) || this.#hidden.has(inode)
  }

  /** Searches for processes if a look has shown sockets whose processes are not known yet. */
  async #search(): Promise<void> {
    if (!this.#searchIsDue || performance.now() < this.#nextSearch) return
    this.#searchIsDue = false
    const { byInode, busyMs } = await findSocketProcesses()
    const slices = new TimeSlices()
    const processes = new Map<number, SocketProcess | undefined>()
    const hidden = new Set<number>()
    let checked = 0
    // Those of the look before have perhaps just ended, and are still to be reported.
    for (const look of [this.#before, this.#current]) {
      for (const inode of look?.inodes ?? []) {
        if (++checked % CHECK_EVERY === 0) await slices.pause()
        // A descriptor may be closed since the look, while its socket still has something to send.
        const source = byInode.has(inode) ? byInode : this.#processes
        if (source.has(inode)) processes.set(inode, source.get(inode))
        else hidden.add(inode)
      }
    }
    this.#processes = processes
    this.#hidden = hidden
    this.#nextSearch = performance.now() + (busyMs + slices.busyMs) / SEARCH_SHARE
  }
}

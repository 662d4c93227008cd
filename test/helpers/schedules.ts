/** Random connections with a close in them, and what must be true of each: for test/lab/nothing-lost.test.ts. */
import fc from 'fast-check'
import type { CloseModeName, CloseOptions, CloseReport } from '../../lib'

/** One way from a client to a server, and the address at which the server listens. */
export interface Path {
  name: string
  host: string
  listen: string
  /** Packets get lost on it. */
  isBad: boolean
}

export interface Step {
  /** Bytes. */
  write: number
  pauseMs: number
}

/** One connection, one end of which closes it in the way that is under test. */
export interface Schedule {
  path: string
  host: string
  listen: string
  isBad: boolean
  transport: 'tcp' | 'tls'
  closer: 'client' | 'server'
  mode: CloseModeName
  how: 'closeSocket' | 'destroySoon'
  options: Omit<CloseOptions, 'mode'>
  /** Written and closed while the client is still connecting. */
  early: boolean
  /** The close is not called before everything that the peer sends has come. */
  waitsForPeer: boolean
  closing: {
    steps: Step[]
    /** Its program reads. */
    reads: boolean
    /** SO_SNDBUF; 0 leaves it. */
    sendBuffer: number
    /** end() before the close, and how long before. */
    halfCloses: boolean
    halfClosedMs: number
  }
  peer: {
    steps: Step[]
    /** When it sends its own FIN: before the close, in the same moment, or after it has read all. */
    ends: 'first' | 'together' | 'after'
    /** It reads from the start; else from so long after the close. */
    readsFirst: boolean
    readsAfterMs: number
    /** SO_RCVBUF before it connects, or of its listening socket; 0 leaves it. */
    receiveBuffer: number
  }
}

/** What came of one. */
export interface Outcome {
  hangs?: boolean
  /** What it hangs in. */
  step?: string
  written: number
  peerWrote: number
  /** By the peer. */
  received: number
  /** What it received is the front of what was written. */
  isIntact: boolean
  ended: boolean
  error?: string
  report?: Omit<CloseReport, 'error'> & { error?: string }
}

/** What a connection takes in that nobody reads, without its window being closed by it. */
const UNREAD = 2_000

/** Nor one that goes on at 5 bytes a second: the window of a smaller one opens when the peer asks for it. */
const SMALLEST_BUFFER = 4_608
const BUFFERS_FULL = 8

const size = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 2_000 }) },
  { weight: 4, arbitrary: fc.integer({ min: 2_000, max: 70_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 70_000, max: 400_000 }) },
)
const pauseMs = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 20 }) },
)
const step = fc.record({ write: size, pauseMs })
const bufferSize = fc.oneof(
  { weight: 2, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: SMALLEST_BUFFER, max: 20_000 }) },
)

/** Any connection on these paths, also those that the documentation says lose something. */
export function anySchedule(paths: readonly Path[]): fc.Arbitrary<Schedule> {
  return fc
    .record({
      way: fc.constantFrom(...paths),
      transport: fc.constantFrom('tcp', 'tcp', 'tcp', 'tls'),
      closer: fc.constantFrom('client', 'server'),
      mode: fc.constantFrom('fin', 'deliver', 'deliver', 'lingering', 'reset'),
      how: fc.constantFrom('closeSocket', 'closeSocket', 'destroySoon'),
      options: fc.record({
        requireTimestamps: fc.boolean(),
        closeNotify: fc.boolean(),
        // As long as all of a close: a peer that is slow to read sends nothing meanwhile.
        idleMs: fc.constant(30_000),
      }),
      early: fc.boolean(),
      waitsForPeer: fc.boolean(),
      closing: fc.record({
        steps: fc.array(step, { maxLength: 4 }),
        reads: fc.boolean(),
        sendBuffer: bufferSize,
        halfCloses: fc.boolean(),
        halfClosedMs: pauseMs,
      }),
      peer: fc.record({
        steps: fc.array(step, { maxLength: 3 }),
        ends: fc.constantFrom('first', 'together', 'after'),
        readsFirst: fc.boolean(),
        readsAfterMs: pauseMs,
        receiveBuffer: bufferSize,
      }),
    } as const)
    .map(({ way: { name: path, host, listen, isBad }, ...rest }) =>
      sensible({ ...rest, path, host, listen, isBad }),
    )
}

/** Those in which nothing may be lost but by a reset. */
export function soundSchedule(paths: readonly Path[]): fc.Arbitrary<Schedule> {
  return anySchedule(paths).map((schedule) => {
    const { transport, closing, peer } = schedule
    const isTls = transport === 'tls'
    // Node's TLS cannot half-close: who calls end() throws away what comes after it, whoever closes and
    // however. (It calls SSL_shutdown() a second time, which reads and drops application data.)
    const ends = isTls ? 'after' : peer.ends
    const halfCloses = closing.halfCloses && (!isTls || peer.steps.length === 0)
    const sound = { ...schedule, closing: { ...closing, halfCloses }, peer: { ...peer, ends } }
    // What comes after close() is answered by a RST, and what is queued is dropped (docs/closes.md,
    // "Should the peer send anything after the close").
    return mayBeAnsweredByReset(sound) ? { ...sound, waitsForPeer: true, early: false } : sound
  })
}

/** Those that {@link soundSchedule} changes. */
export function unsoundSchedule(paths: readonly Path[]): fc.Arbitrary<Schedule> {
  return anySchedule(paths)
    .map((schedule) => ({ ...schedule, waitsForPeer: false }))
    .filter((schedule) => mayBeAnsweredByReset(schedule) || halfClosesTls(schedule))
}

/** Whether the peer may send something that the mode does not read. */
function mayBeAnsweredByReset({ mode, transport, peer }: Schedule): boolean {
  if (mode === 'lingering' || mode === 'reset') return false
  // On TLS `fin` reads on until the peer has finished.
  if (transport === 'tls' && mode === 'fin') return false
  return peer.steps.length > 0
}

/**
 * Whether the session tickets of a server that spoke before it sent them may have been lost on the way, and
 * come again when the client has read what it waited for, and its FIN is on its way (docs/closes.md, "TLS").
 */
function mayHaveLateTickets({ mode, transport, closer, peer, isBad }: Schedule): boolean {
  const toServer = transport === 'tls' && closer === 'client'
  return isBad && toServer && mode === 'deliver' && peer.steps.length > 0
}

/** Node's TLS drops a record then, whichever it is. */
export function halfClosesTls({ transport, peer }: Schedule): boolean {
  return transport === 'tls' && peer.ends !== 'after'
}

/** The same schedule, without what makes no sense. */
function sensible(schedule: Schedule): Schedule {
  const { mode, transport, closing, peer, closer } = schedule
  const isTls = transport === 'tls'
  // Node's own close it is then, not one of this library's.
  const how = mode === 'fin' ? 'closeSocket' : schedule.how
  // Only the client's end is there so early; a reset of it, or a close with nothing to send, may make
  // no connection at all.
  const early =
    schedule.early && closer === 'client' && mode !== 'reset' && closing.steps.length > 0
  // A program that reads nothing has a window that closes: it could wait for the peer for ever.
  const unread = peer.steps.reduce((sum, { write }) => sum + write, 0)
  const reads = closing.reads || isTls || unread > UNREAD
  // Two ends that have both ended have nothing left to close.
  const ends = closing.halfCloses && peer.ends === 'first' ? 'together' : peer.ends
  // A client on TLS is not opened by this library, which alone sets it early enough.
  const receiveBuffer = isTls && closer === 'server' ? 0 : peer.receiveBuffer
  const buffers = [closing.sendBuffer, receiveBuffer].filter((bytes) => bytes > 0)
  const most = BUFFERS_FULL * Math.min(...buffers)
  const shorter = ({ write, pauseMs }: Step): Step => ({ write: Math.min(write, most), pauseMs })
  return {
    ...schedule,
    how,
    early,
    closing: { ...closing, reads, steps: closing.steps.map(shorter) },
    peer: { ...peer, ends, receiveBuffer },
  }
}

/** What is wrong with the outcome; undefined when nothing is. */
export function faultOf(schedule: Schedule, outcome: Outcome): string | undefined {
  if (outcome.hangs === true) return 'it comes to no end'
  if (!outcome.isIntact) return 'the peer got other bytes, or in another order'
  if (outcome.received > outcome.written) return 'the peer got more than was written'
  return schedule.mode === 'reset' ? resetFault(schedule, outcome) : lossOf(schedule, outcome)
}

function lossOf(schedule: Schedule, { written, received, ended, error, report }: Outcome) {
  const { mode } = schedule
  if (received !== written) return `${String(written - received)} bytes are lost`
  const endsByReset = error === 'ECONNRESET' && mayHaveLateTickets(schedule)
  if (error !== undefined && !endsByReset) return `the peer had ${error}`
  if (!ended && !endsByReset) return 'the peer saw no end'
  if (report === undefined) return undefined
  if (!isDocumentedFallback(schedule, report)) {
    if (report.mode !== mode) return `it was closed in mode ${report.mode}`
    if (report.fallback !== undefined) return `it says ${report.fallback.message}`
  }
  if (report.error !== undefined) return `it had ${report.error}`
  if (report.discardedBytes !== 0) return 'the report speaks of bytes thrown away'
  return undefined
}

/**
 * `deliver` uses `fin` where the FIN went out before, by end(), and on an accepted connection whose peer has
 * sent nothing by then (docs/closes.md, "deliver").
 */
function isDocumentedFallback(
  { mode, closer, transport, closing }: Schedule,
  report: NonNullable<Outcome['report']>,
): boolean {
  if (mode !== 'deliver' || report.mode !== 'fin') return false
  if (report.fallback?.code === 'ended') return closing.halfCloses && report.timeWait === 'here'
  return report.fallback?.code === 'silent-peer' && closer === 'server' && transport === 'tcp'
}

/** More than TLS adds: to a record (RFC 8446 section 5.2), and to all of them by what it sends unasked. */
const RECORD_OVERHEAD = 32
const OVERHEAD = 2_000

/** An acknowledgement between the count and close(2) lets the kernel send so much more: 10 segments. */
const SENT_MEANWHILE = 14_480

function resetFault(
  { transport, peer, closing, isBad }: Schedule,
  outcome: Outcome,
): string | undefined {
  const { written, received, report } = outcome
  if (report === undefined) return undefined
  const { discardedBytes, inFlightBytes } = report
  const lost = written - received
  const counted = `${String(lost)} bytes are lost, and ${String(discardedBytes)} counted as thrown away`
  if (transport === 'tls') {
    const records = closing.steps.length + Math.ceil(written / 16_384)
    const added = records * RECORD_OVERHEAD + OVERHEAD
    return lost + added < discardedBytes ? counted : undefined
  }
  if (lost + (isBad ? SENT_MEANWHILE : 0) < discardedBytes) return counted
  // A program whose own write fails gives up what its kernel has for it, and has acknowledged: Node's
  // does. One on TLS does the same with records that it has not decrypted yet.
  if (peer.steps.length > 0 || lost <= discardedBytes + inFlightBytes) return undefined
  return `${counted}, ${String(inFlightBytes)} as left to chance`
}

/** Generates random connections that end by a close, and checks their outcomes, for test/lab/nothing-lost.test.ts. */
import fc from 'fast-check'
import type { CloseModeName, CloseOptions, CloseReport } from '../../lib'

/** A network path from a client to a server, and the address on which the server listens. */
export interface Path {
  name: string
  host: string
  listen: string
  /** The path loses packets. */
  isBad: boolean
}

export interface Step {
  /** Bytes. */
  write: number
  pauseMs: number
}

/** The plan of one connection, which one end closes in the way under test. */
export interface Schedule {
  path: string
  host: string
  listen: string
  isBad: boolean
  transport: 'tcp' | 'tls'
  closer: 'client' | 'server'
  mode: CloseModeName
  /** `end` uses `onEnd: 'close'`. */
  how: 'closeSocket' | 'destroySoon' | 'end'
  options: Omit<CloseOptions, 'mode'>
  /** The client writes and closes while it is still connecting. */
  early: boolean
  /** The close waits until all data of the peer has arrived. */
  waitsForPeer: boolean
  closing: {
    steps: Step[]
    /** The program reads from the socket. */
    reads: boolean
    /** SO_SNDBUF; 0: not set. */
    sendBuffer: number
    /** Whether end() precedes the close, and by how many milliseconds. */
    halfCloses: boolean
    halfClosedMs: number
  }
  peer: {
    steps: Step[]
    /** When it sends its own FIN: before the close, at the same time, or after it has read everything. */
    ends: 'first' | 'together' | 'after'
    /** It reads from the start; otherwise `readsAfterMs` after the close. */
    readsFirst: boolean
    readsAfterMs: number
    /** SO_RCVBUF before connect(), or of the listening socket; 0: not set. */
    receiveBuffer: number
  }
}

/** The outcome of one schedule. */
export interface Outcome {
  hangs?: boolean
  /** The step that does not end. */
  step?: string
  written: number
  peerWrote: number
  /** Bytes that the peer received. */
  received: number
  /** The received bytes are a prefix of the written ones. */
  isIntact: boolean
  ended: boolean
  error?: string
  report?: Omit<CloseReport, 'error'> & { error?: string }
}

/** The most bytes that can stay unread without closing the receive window. */
const UNREAD = 2_000

/** The window of a smaller buffer opens only on window probes, and the transfer would slow down to 5 bytes/s. */
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

/** Generates any connection on these paths, including those that lose data according to the documentation. */
export function anySchedule(paths: readonly Path[]): fc.Arbitrary<Schedule> {
  return fc
    .record({
      way: fc.constantFrom(...paths),
      transport: fc.constantFrom('tcp', 'tcp', 'tcp', 'tls'),
      closer: fc.constantFrom('client', 'server'),
      mode: fc.constantFrom('fin', 'deliver', 'deliver', 'lingering', 'reset'),
      how: fc.constantFrom('closeSocket', 'closeSocket', 'destroySoon', 'end'),
      options: fc.record({
        requireTimestamps: fc.boolean(),
        closeNotify: fc.boolean(),
        // As long as the deadline of the close: a peer that reads slowly sends nothing meanwhile.
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

/** Generates connections in which only a reset may lose data. */
export function soundSchedule(paths: readonly Path[]): fc.Arbitrary<Schedule> {
  return anySchedule(paths).map((schedule) => {
    const { transport, closing, peer } = schedule
    const isTls = transport === 'tls'
    // Node's TLS cannot half-close: after end(), a TLS socket discards all data that it receives, because Node
    // calls SSL_shutdown() a second time, which reads and drops application data.
    const ends = isTls ? 'after' : peer.ends
    const halfCloses = closing.halfCloses && (!isTls || peer.steps.length === 0)
    const sound = { ...schedule, closing: { ...closing, halfCloses }, peer: { ...peer, ends } }
    // The kernel answers data that arrives after close() with a RST, and drops the queued data (docs/closes.md,
    // "Should the peer send anything after the close").
    return mayBeAnsweredByReset(sound) ? { ...sound, waitsForPeer: true, early: false } : sound
  })
}

/** Generates the connections that {@link soundSchedule} excludes. */
export function unsoundSchedule(paths: readonly Path[]): fc.Arbitrary<Schedule> {
  return anySchedule(paths)
    .map((schedule) => ({ ...schedule, waitsForPeer: false }))
    .filter((schedule) => mayBeAnsweredByReset(schedule) || halfClosesTls(schedule))
}

/** Whether the peer may send data that the mode does not read. */
function mayBeAnsweredByReset(schedule: Schedule): boolean {
  const { mode, transport, peer } = schedule
  if (mode === 'lingering' || mode === 'reset') return false
  // On TLS, `fin` reads until the peer has ended.
  if (transport === 'tls' && mode === 'fin') return false
  return peer.steps.length > 0 && !isHeld(schedule)
}

/**
 * Whether closeSocket() waits until the peer's kernel has received everything. Later writes of the peer then fail. On a
 * bad link the RST for them may arrive before a retransmitted FIN.
 */
function isHeld({ mode, transport, how, peer, isBad }: Schedule): boolean {
  if (mode !== 'deliver' && mode !== 'fin') return false
  return transport === 'tcp' && how === 'closeSocket' && peer.readsFirst && !isBad
}

/**
 * Whether the session tickets of the server may arrive late: lost at first, and retransmitted when the client has read
 * the data that it waited for and has sent its FIN (docs/closes.md, "TLS").
 */
function mayHaveLateTickets({ mode, transport, closer, peer, isBad }: Schedule): boolean {
  const toServer = transport === 'tls' && closer === 'client'
  return isBad && toServer && mode === 'deliver' && peer.steps.length > 0
}

/** Whether the peer half-closes on TLS: Node then drops the records that arrive later. */
export function halfClosesTls({ transport, peer }: Schedule): boolean {
  return transport === 'tls' && peer.ends !== 'after'
}

/** Removes combinations that make no sense. */
function sensible(schedule: Schedule): Schedule {
  const { mode, transport, closing, peer, closer } = schedule
  const isTls = transport === 'tls'
  // Otherwise `fin` is Node's own close, not one of this library's.
  const how = mode === 'fin' ? 'closeSocket' : endsOnce(schedule)
  // Only the client's end exists this early. A reset, or a close without data, may leave no connection at all.
  const early =
    schedule.early && closer === 'client' && mode !== 'reset' && closing.steps.length > 0
  // If the program reads nothing, its window closes, and it could wait for the peer forever.
  const unread = peer.steps.reduce((sum, { write }) => sum + write, 0)
  const reads = closing.reads || isTls || unread > UNREAD
  // If both ends had ended before, nothing would be left to close.
  const ends = closing.halfCloses && peer.ends === 'first' ? 'together' : peer.ends
  // It must be set before connect(), by this library's connect(), which TLS clients do not use here.
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

/** end() cannot be the close if an end() precedes it. */
function endsOnce({ how, closing }: Schedule): Schedule['how'] {
  return how === 'end' && closing.halfCloses ? 'destroySoon' : how
}

/** Describes the fault of an outcome; returns undefined if there is none. */
export function faultOf(schedule: Schedule, outcome: Outcome): string | undefined {
  if (outcome.hangs === true) return 'it does not end'
  if (!outcome.isIntact) return 'the peer received different bytes'
  if (outcome.received > outcome.written) return 'the peer received more than was written'
  return schedule.mode === 'reset' ? resetFault(schedule, outcome) : lossOf(schedule, outcome)
}

function lossOf(schedule: Schedule, { written, received, ended, error, report }: Outcome) {
  const { mode, peer, waitsForPeer } = schedule
  if (received !== written) return `${String(written - received)} bytes are lost`
  const endsByReset =
    (error === 'ECONNRESET' && mayHaveLateTickets(schedule)) ||
    (peer.steps.length > 0 && !waitsForPeer && isHeld(schedule))
  if (error !== undefined && !endsByReset) return `the peer had ${error}`
  if (!ended && !endsByReset) return 'the peer saw no end'
  if (report === undefined) return undefined
  if (!isDocumentedFallback(schedule, report)) {
    if (report.mode !== mode) return `it was closed in mode ${report.mode}`
    if (report.fallback !== undefined) return `it says ${report.fallback.message}`
  }
  if (report.error !== undefined) return `it had ${report.error}`
  if (report.discardedBytes !== 0) return 'the report counts discarded bytes'
  return undefined
}

/**
 * Whether the fallback of `deliver` to `fin` is documented: after end(), which has sent the FIN, and on an accepted
 * connection whose peer has not sent anything (docs/closes.md, "deliver").
 */
function isDocumentedFallback(
  { mode, closer, transport, closing }: Schedule,
  report: NonNullable<Outcome['report']>,
): boolean {
  if (mode !== 'deliver' || report.mode !== 'fin') return false
  if (report.fallback?.code === 'ended') return closing.halfCloses && report.timeWait === 'here'
  return report.fallback?.code === 'silent-peer' && closer === 'server' && transport === 'tcp'
}

/** Upper limits of the bytes that TLS adds: to each record (RFC 8446 section 5.2), and in other messages. */
const RECORD_OVERHEAD = 32
const OVERHEAD = 2_000

/** The most that the kernel sends if an acknowledgement arrives between the count and close(2): 10 segments. */
const SENT_MEANWHILE = 14_480

/**
 * Whether the kernel sent data between the count and close(2). On loopback, a busy kernel may delay an
 * acknowledgement until then, and with segments of 64 KiB it may then send everything that was left.
 */
export function sentMeanwhile(
  { mode, transport, isBad }: Schedule,
  { written, received, report }: Outcome,
): boolean {
  if (mode !== 'reset' || transport !== 'tcp' || isBad || report === undefined) return false
  return written - received < report.discardedBytes
}

function resetFault({ transport, closing, isBad }: Schedule, outcome: Outcome): string | undefined {
  const { written, received, report } = outcome
  if (report === undefined) return undefined
  const { discardedBytes, inFlightBytes } = report
  const lost = written - received
  const counted = `${String(lost)} bytes are lost, ${String(discardedBytes)} counted as discarded`
  if (transport === 'tls') {
    const records = closing.steps.length + Math.ceil(written / 16_384)
    const added = records * RECORD_OVERHEAD + OVERHEAD
    return lost + added < discardedBytes ? counted : undefined
  }
  if (isBad && lost + SENT_MEANWHILE < discardedBytes) return counted
  if (lost <= discardedBytes + inFlightBytes) return undefined
  return `${counted}, ${String(inFlightBytes)} as in flight`
}

/** One connection of a run, from its opening to its end. */
import type { Buffer } from 'node:buffer'
import type { AnswerReader, Conversation } from './answer'
import { errorCodeOf, errorMessageOf, type Recorder } from './recorder'
import type { StressPhase } from './result'
import type { Wire, WireUser, Wires } from './wire'

/** What all connections of a run have in common. */
export interface Circumstances {
  readonly wires: Wires
  /** Why the target cannot be measured by the protocol that it chose; undefined without a check. */
  readonly protocolRefusal: ((alpnProtocol: unknown) => string | undefined) | undefined
  readonly conversation: Conversation
  /** Infinity for no limit. */
  readonly requestsPerConnection: number
  /** The target closes after the last answer. */
  readonly closedByTarget: boolean
  readonly timeoutMs: number
  readonly recorder: Recorder
  /** Called right before a connection is closed, with the present moment. */
  readonly sample: ((wire: Pick<Wire, 'info'>, nowMs: number) => void) | undefined
}

/** Called when the state of a connection changes. */
export interface ConnectionOwner {
  /** It can send a request now. Not called if it was closed instead. */
  ready(connection: Connection): void
  /** A request was answered or failed. */
  settled(): void
  /** It no longer takes requests. */
  unavailable(connection: Connection): void
  /** Its socket is closed. @param hasFailed whether an error ended it */
  closed(connection: Connection, hasFailed: boolean): void
}

type State = 'connecting' | 'tls' | 'busy' | 'idle' | 'closing' | 'closed'

/** The kernel sends a SYN again after 1 s at the earliest. */
const RESEND_MS = 900

/** A request under way. */
interface Request {
  intendedMs: number
  begunMs: number
}

export class Connection implements WireUser {
  readonly #with: Circumstances
  readonly #owner: ConnectionOwner
  readonly #reader: AnswerReader
  readonly #wire: Wire
  readonly #openedMs: number
  #state: State = 'connecting'
  #request: Request | undefined
  #left: number
  #writtenMs = 0
  #tlsMs = 0
  #hasFirstByte = false
  #closingMs = 0
  #deadlineMs: number
  #hasFailed = false

  /**
   * Opens a connection and sends a request on it.
   *
   * @param intendedMs the moment at which the request was to start, ms of performance.now()
   * @throws if the connection cannot be attempted
   */
  constructor(circumstances: Circumstances, owner: ConnectionOwner, intendedMs: number) {
    const { wires, conversation, requestsPerConnection, timeoutMs } = circumstances
    const now = performance.now()
    this.#with = circumstances
    this.#owner = owner
    this.#reader = conversation.newReader()
    this.#left = requestsPerConnection
    this.#openedMs = now
    this.#deadlineMs = now + timeoutMs
    this.#request = { intendedMs, begunMs: now }
    this.#wire = wires.open(this)
  }

  /** Sends a request. The connection must be ready. */
  send(intendedMs: number): void {
    const now = performance.now()
    this.#request = { intendedMs, begunMs: now }
    this.#write()
  }

  /** Fails the request if its time is over. */
  checkDeadline(nowMs: number): void {
    if (nowMs < this.#deadlineMs || this.#state === 'idle' || this.#state === 'closed') return
    const { timeoutMs } = this.#with
    const after = `after ${String(timeoutMs)} ms`
    this.#deadlineMs = Infinity
    switch (this.#state) {
      case 'connecting':
        this.#fail('CONNECT_TIMEOUT', 'connect', `no connection ${after}`)
        break
      case 'tls':
        this.#fail('CONNECT_TIMEOUT', 'tls', `no TLS session ${after}`)
        break
      case 'closing':
        this.#fail('CLOSE_TIMEOUT', 'close', `the target has not closed ${after}`)
        break
      case 'busy': {
        const what = this.#hasFirstByte ? 'the answer is not complete' : 'no answer'
        this.#fail('ANSWER_TIMEOUT', 'answer', `${what} ${after}`)
      }
    }
  }

  /** Closes an idle connection. */
  close(): void {
    if (this.#state !== 'idle') return
    this.#close()
  }

  /** Ends the connection at once; its request counts as aborted. */
  abort(): void {
    if (this.#state === 'closed') return
    const request = this.#request
    if (request !== undefined) {
      this.#request = undefined
      if (this.#with.recorder.counts(request.intendedMs)) this.#with.recorder.aborted++
      this.#owner.settled()
    }
    if (this.#state !== 'closing') this.#owner.unavailable(this)
    this.#state = 'closing'
    this.#wire.close()
  }

  connected(now: number, waitedMs: number): void {
    this.#countConnected(now, waitedMs)
    if (this.#with.wires.areSecured) {
      this.#state = 'tls'
      this.#tlsMs = now
    } else {
      this.#isReady(now)
    }
  }

  secured(now: number, alpnProtocol: unknown): void {
    const { recorder, protocolRefusal } = this.#with
    if (recorder.counts(this.#openedMs)) recorder.phases.tls.record(now - this.#tlsMs)
    const refusal = protocolRefusal?.(alpnProtocol)
    if (refusal === undefined) this.#isReady(now)
    else this.#fail('WRONG_PROTOCOL', 'tls', refusal)
  }

  #countConnected(now: number, waitedMs: number): void {
    const { recorder } = this.#with
    recorder.interval.opened++
    if (!recorder.counts(this.#openedMs)) return
    recorder.opened++
    const took = now - this.#openedMs - waitedMs
    const { portWait, handshake, handshakeRetried } = recorder.phases
    if (waitedMs > 0) portWait.record(waitedMs)
    const isRetried = took >= RESEND_MS && this.#wasSynSentAgain()
    ;(isRetried ? handshakeRetried : handshake).record(took)
  }

  #wasSynSentAgain(): boolean {
    if (this.#with.sample === undefined) return false
    try {
      return (this.#wire.info().totalRetrans ?? 0) > 0
    } catch {
      return false
    }
  }

  #isReady(now: number): void {
    this.#deadlineMs = now + this.#with.timeoutMs
    if (this.#with.conversation.request !== undefined) {
      this.#write()
      return
    }
    this.#answered(now)
  }

  #write(): void {
    const now = performance.now()
    const { conversation, timeoutMs } = this.#with
    const isLast = this.#left === 1
    const bytes = isLast ? conversation.lastRequest : conversation.request
    this.#state = 'busy'
    this.#hasFirstByte = false
    this.#writtenMs = now
    this.#deadlineMs = now + timeoutMs
    this.#reader.begin(conversation.isHead)
    if (bytes !== undefined) this.#wire.write(bytes)
  }

  received(buffer: Buffer, from: number, to: number, now: number): void {
    const { recorder } = this.#with
    const request = this.#request
    if (request === undefined || this.#state !== 'busy') {
      // What comes while the target is to close is not an answer either.
      if (this.#state === 'idle') {
        const message = 'bytes without a request'
        recorder.error(performance.now(), 'BAD_ANSWER', 'answer', message)
        this.#close()
      }
      return
    }
    const isCounted = recorder.counts(request.intendedMs)
    if (isCounted) recorder.bytesReceived += to - from
    if (!this.#hasFirstByte) {
      this.#hasFirstByte = true
      if (isCounted) recorder.phases.firstByte.record(now - this.#writtenMs)
    }
    const end = this.#reader.push(buffer, from, to)
    if (this.#reader.failure !== undefined) this.#fail('BAD_ANSWER', 'answer', this.#reader.failure)
    else if (end >= 0 && end < to)
      this.#fail('BAD_ANSWER', 'answer', 'bytes after the end of the answer')
    else if (end >= 0) this.#answered(now)
  }

  /** The request is answered. */
  #answered(now: number): void {
    const request = this.#request
    if (request === undefined) return
    const { recorder, closedByTarget } = this.#with
    const { status, keepsAlive } = this.#reader
    this.#request = undefined
    recorder.answer(request.intendedMs, request.begunMs, now, status)
    this.#left--
    if (this.#left > 0 && keepsAlive) {
      this.#state = 'idle'
      this.#deadlineMs = Infinity
      this.#owner.settled()
      this.#owner.ready(this)
      return
    }
    this.#owner.unavailable(this)
    if (closedByTarget && this.#with.conversation.request !== undefined) {
      this.#state = 'closing'
      this.#closingMs = now
      this.#deadlineMs = now + this.#with.timeoutMs
    } else {
      this.#close()
    }
    this.#owner.settled()
  }

  #close(): void {
    const { sample } = this.#with
    if (this.#state === 'idle') this.#owner.unavailable(this)
    this.#state = 'closing'
    const now = performance.now()
    this.#closingMs = now
    this.#deadlineMs = Infinity
    sample?.(this.#wire, now)
    this.#wire.close()
  }

  ended(now: number): void {
    switch (this.#state) {
      case 'idle':
        this.#countEndByTarget()
        this.#close()
        return
      case 'closing':
        this.#with.sample?.(this.#wire, now)
        this.#wire.close()
        return
      case 'busy':
        if (this.#reader.end()) this.#answered(now)
        else this.#fail('CLOSED_EARLY', 'answer', this.#endedEarly())
        return
      case 'tls':
        this.#fail('CLOSED_EARLY', 'tls', 'the target ended the connection in the TLS handshake')
    }
  }

  #endedEarly(): string {
    return this.#hasFirstByte
      ? 'the target ended the connection within its answer'
      : 'the target ended the connection without an answer'
  }

  #countEndByTarget(): void {
    const { recorder } = this.#with
    if (recorder.counts(performance.now())) recorder.endedByTarget++
  }

  failed(error: NodeJS.ErrnoException): void {
    if (this.#state === 'idle') {
      this.#countEndByTarget()
      this.#owner.unavailable(this)
      this.#state = 'closing'
      return
    }
    const phase = phaseOf(this.#state)
    this.#fail(errorCodeOf(error), phase, errorMessageOf(error))
  }

  closed(now: number): void {
    const { recorder } = this.#with
    if (this.#state !== 'closing') {
      if (this.#state === 'idle') this.#countEndByTarget()
      this.#fail('CLOSED_EARLY', phaseOf(this.#state), 'the connection was closed')
    }
    if (this.#closingMs > 0 && recorder.counts(this.#openedMs) && !this.#hasFailed)
      recorder.phases.close.record(now - this.#closingMs)
    this.#state = 'closed'
    this.#owner.closed(this, this.#hasFailed)
  }

  /** Counts the error, fails the request if there is one, and closes the connection. */
  #fail(code: string, phase: StressPhase, message: string): void {
    const { recorder } = this.#with
    const request = this.#request
    const wasAvailable = this.#state !== 'closing'
    // The errors of a connection that was aborted are ours.
    if (this.#hasFailed || (!wasAvailable && this.#closingMs === 0)) return
    this.#hasFailed = true
    this.#request = undefined
    const begunMs = request?.intendedMs ?? this.#openedMs
    recorder.error(begunMs, code, phase, message)
    if (phase !== 'answer' && phase !== 'close' && recorder.counts(begunMs))
      recorder.failedConnections++
    this.#state = 'closing'
    if (wasAvailable) this.#owner.unavailable(this)
    this.#wire.close()
    if (request === undefined) return
    recorder.failure(request.intendedMs)
    this.#owner.settled()
  }
}

function phaseOf(state: State): StressPhase {
  switch (state) {
    case 'connecting':
      return 'connect'
    case 'tls':
      return 'tls'
    case 'closing':
    case 'closed':
      return 'close'
    default:
      return 'answer'
  }
}

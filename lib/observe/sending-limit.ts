/** Derives the limit of sending from the figures, in the way in which tcp_write_xmit() of Linux decides to send. */
import type { Explanation, SendingLimit, SendingShares } from './explanation'
import type { TcpInfo } from './tcp-info'

/** A limit, and whether the figures leave no other. */
export interface LimitFound<Limit> {
  readonly limit: Limit
  readonly isCertain: boolean
}

type Sending = Explanation['sending']
export type SendingFigures = Omit<Sending, 'limitedBy' | 'isCertain' | 'now'>

const unconnected = new Set(['CLOSE', 'LISTEN'])
const opening = new Set(['SYN_SENT', 'SYN_RECV', 'NEW_SYN_RECV'])
const ended = new Set(['FIN_WAIT2', 'TIME_WAIT'])
const ending = new Set(['FIN_WAIT1', 'CLOSING', 'LAST_ACK'])

/** A paced connection delivers nearly at the rate of its limit. */
const PACED_SHARE = 0.7
/** Below this, the counters of the kernel are too coarse: they count in ticks of up to 10 ms. */
const SHORTEST_PERIOD_MS = 50

/** Returns the limit of this moment. */
export function presentLimit(info: TcpInfo, figures: SendingFigures): LimitFound<SendingLimit> {
  const { state, unacked } = info
  const { unsentBytes } = figures
  if (unconnected.has(state) || ended.has(state)) return certain('nothing')
  if (opening.has(state) || unacked === undefined || unsentBytes === undefined)
    return likely('unknown')
  if (unsentBytes > 0 && info.sndWnd === 0) return certain('peer-window')
  if (info.retransmits > 0 && unacked > 0) return certain('network')
  return unsentBytes === 0
    ? limitOfWriter(info, unacked, figures)
    : limitOfUnsent(info, unacked, unsentBytes, figures)
}

/** Nothing waits to be sent: the application writes no more, or cannot. */
function limitOfWriter(
  info: TcpInfo,
  unacked: number,
  figures: SendingFigures,
): LimitFound<SendingLimit> {
  const { unwrittenBytes: unwritten, sendBufferBytes: size, sendBufferUsedBytes: used } = figures
  if (unacked > 0 && isRecovering(info)) return certain('network')
  if (ending.has(info.state)) return certain('nothing')
  if (unacked === 0 || unwritten === 0)
    return { limit: 'application', isCertain: unwritten === 0 || unwritten === undefined }
  if (size === undefined || used === undefined)
    return likely(unwritten === undefined ? 'application' : 'send-buffer')
  // sk_stream_is_writeable(): once it is full, the buffer accepts data again when a third of it is free.
  const isFull = size - used < used / 2
  if (unwritten !== undefined) return { limit: 'send-buffer', isCertain: isFull }
  return isFull ? likely('send-buffer') : certain('application')
}

/** Data waits in the kernel: something keeps it from being sent. */
function limitOfUnsent(
  info: TcpInfo,
  unacked: number,
  unsent: number,
  figures: SendingFigures,
): LimitFound<SendingLimit> {
  const { sndMss: mss = 1, sndCwnd } = info
  const { inFlightBytes: inFlight, peerWindowBytes: window } = figures
  const packets = unacked - (info.sacked ?? 0) - (info.lost ?? 0) + (info.retrans ?? 0)
  const cwndRoom = sndCwnd === undefined ? Infinity : (sndCwnd - packets) * mss
  const isCwndFull = cwndRoom < mss
  if (window === undefined || inFlight === undefined) {
    if (info.probes > 0) return likely('peer-window')
    return likely(isCwndFull ? 'network' : 'unknown')
  }
  const windowRoom = window - inFlight
  if (windowRoom < Math.min(mss, unsent)) {
    // Lost segments keep the window full as well.
    if (isRecovering(info)) return likely('network')
    return isCwndFull && cwndRoom < windowRoom
      ? likely('network')
      : { limit: 'peer-window', isCertain: !isCwndFull }
  }
  if (isPaced(figures)) return { limit: 'pacing', isCertain: !isCwndFull }
  if (isCwndFull || isRecovering(info)) return certain('network')
  if (unsent < mss) return likely('partial-segment')
  if (info.pacingRate === figures.maxPacingRate && Number.isFinite(info.pacingRate))
    return likely('pacing')
  // tcp_tso_should_defer() waits for room for a larger segment. Else it is the queue of the device (TSQ) or BBR.
  return likely(windowRoom < cwndRoom && windowRoom < inFlight / 2 ? 'peer-window' : 'network')
}

function isRecovering({ caState, lost = 0 }: TcpInfo): boolean {
  return lost > 0 || caState === 'recovery' || caState === 'loss'
}

function isPaced({ deliveryRate = 0, maxPacingRate = Infinity }: SendingFigures): boolean {
  return maxPacingRate !== Infinity && deliveryRate >= PACED_SHARE * maxPacingRate
}

/** Returns the shares of the period since `before`, or of the whole time in which data was underway. */
export function sendingShares(
  info: TcpInfo,
  before: TcpInfo | undefined,
  periodMs: number | undefined,
): SendingShares | undefined {
  const { busyTime, rwndLimited, sndbufLimited } = info
  if (busyTime === undefined || rwndLimited === undefined || sndbufLimited === undefined)
    return undefined
  const busy = busyTime - (before?.busyTime ?? 0)
  const peerWindow = rwndLimited - (before?.rwndLimited ?? 0)
  const sendBuffer = sndbufLimited - (before?.sndbufLimited ?? 0)
  // The counters advance by ticks, so that they may be ahead of the clock.
  const whole = Math.max(busy, (periodMs ?? 0) * 1000)
  if (whole === 0) return undefined
  return {
    peerWindow: peerWindow / whole,
    sendBuffer: sendBuffer / whole,
    underway: Math.max(0, busy - peerWindow - sendBuffer) / whole,
    idle: periodMs === undefined ? undefined : (whole - busy) / whole,
  }
}

/** Returns the limit of a period, from its shares and the limits at its two ends. */
export function periodLimit(
  info: TcpInfo,
  shares: SendingShares,
  periodMs: number,
  present: LimitFound<SendingLimit>,
  before: SendingLimit,
): LimitFound<SendingLimit> {
  if (periodMs < SHORTEST_PERIOD_MS || present.limit === 'nothing' || present.limit === 'unknown')
    return present
  const { peerWindow, sendBuffer, underway, idle = 0 } = shares
  const most = Math.max(peerWindow, sendBuffer, underway, idle)
  const limit =
    most === peerWindow
      ? 'peer-window'
      : most === sendBuffer
        ? 'send-buffer'
        : most === idle
          ? 'application'
          : limitUnderway(info, present.limit)
  const isSeen = present.limit === limit ? present.isCertain : before === limit
  // Of the time underway the kernel does not say who caused it.
  const isShown = most !== underway || limit === 'network' || limit === 'pacing'
  return { limit, isCertain: most >= 0.5 && isSeen && isShown }
}

/** The kernel counts the network and the round trip of an application that waits for answers as one. */
function limitUnderway(info: TcpInfo, present: SendingLimit): SendingLimit {
  if (present === 'network' || present === 'pacing' || present === 'partial-segment') return present
  if (info.deliveryRateAppLimited === undefined) return 'unknown'
  return info.deliveryRateAppLimited ? present : 'network'
}

function certain(limit: SendingLimit): LimitFound<SendingLimit> {
  return { limit, isCertain: true }
}

function likely(limit: SendingLimit): LimitFound<SendingLimit> {
  return { limit, isCertain: false }
}

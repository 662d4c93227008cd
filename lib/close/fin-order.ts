/**
 * Finds whose FIN is first when end() sends one. libuv calls shutdown() a turn of its loop later, and the peer's FIN can
 * come before that. In state CLOSE the kernel no longer shows the order.
 *
 * It does show whether acknowledgements are delayed (TCP_QUICKACK, tcp(7)). A FIN that comes before ours switches that on,
 * and so does data that is sent; a FIN that comes after ours does not. So it is switched off first, and data that is
 * sent is counted. The first delayed acknowledgement switches it off again, after 40 ms, or sooner if no data has come
 * yet. Then our FIN is taken for the first, and a TIME_WAIT entry is reported that does not exist.
 */
import { native } from '../kernel/binding'
import { connectionState } from '../observe/tcp-info'
import { finOrderIn, type FinOrder } from './time-wait'

/** A connection whose shutdown() is under way. */
export interface FinWatch {
  /** Whose FIN is first if none comes before shutdown(). */
  readonly order: FinOrder | undefined
  /** Segments with data that had been sent; undefined if a FIN that comes later cannot be placed. */
  readonly dataSegsOut: number | undefined
}

/**
 * Called before shutdown(), once the peer's FIN has come. Whether it is the first: another wrapper of the handle, or a copy
 * of the descriptor, may have sent ours before, and then the state is CLOSING, or CLOSE for TIME_WAIT. A FIN of ours that
 * was the second, and that the peer has acknowledged, leads to CLOSE too, and is taken for the first.
 */
export function isPeerFirst(fd: number): boolean {
  const { state } = connectionState(fd)
  return state === undefined || finOrderIn(state) === 'theirs'
}

/** Called between the last write and shutdown(). */
export function watchFins(fd: number): FinWatch {
  setQuickAck(fd)
  const { state, dataSegsOut } = connectionState(fd)
  return { order: finOrderIn(state), dataSegsOut: isQuickAck(fd) ? dataSegsOut : undefined }
}

/** Called after shutdown(). */
export function orderOfFins(fd: number, watch: FinWatch): FinOrder | undefined {
  if (watch.order !== 'ours') return watch.order
  const { state, dataSegsOut } = connectionState(fd)
  if (state !== 'CLOSE') return finOrderIn(state)
  const hasSentNothing = dataSegsOut !== undefined && dataSegsOut === watch.dataSegsOut
  return hasSentNothing && !isQuickAck(fd) ? 'theirs' : 'ours'
}

function setQuickAck(fd: number): void {
  const { IPPROTO_TCP, TCP_QUICKACK } = native.constants
  if (IPPROTO_TCP === undefined || TCP_QUICKACK === undefined) return
  native.setInt(fd, IPPROTO_TCP, TCP_QUICKACK, 1)
}

/** True where the platform has no such option. */
function isQuickAck(fd: number): boolean {
  const { IPPROTO_TCP, TCP_QUICKACK } = native.constants
  if (IPPROTO_TCP === undefined || TCP_QUICKACK === undefined) return true
  return native.getInt(fd, IPPROTO_TCP, TCP_QUICKACK) !== 0
}

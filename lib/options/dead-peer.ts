import { checkWhole } from '../errors'

/** Settings by which a peer that is gone is noticed. A type, so that it can be taken for a record. */
// eslint-disable-next-line @typescript-eslint/consistent-type-definitions -- an interface has no index signature
export type DeadPeerSettings = {
  readonly SO_KEEPALIVE: true
  readonly TCP_KEEPIDLE: number
  readonly TCP_KEEPINTVL: number
  readonly TCP_KEEPCNT: number
  readonly TCP_USER_TIMEOUT: number
}

/** After the first one, so that a few lost packets end no connection. */
const PROBES = 4
/** The first probe goes out after a third of the time, where there is time enough. */
const INTERVAL_SHARE = 6
/** TCP_KEEPIDLE's limit; 9 hours. */
const MAX_SECONDS = 32_767

/**
 * Settings by which a peer that is gone, without a FIN or RST, is noticed after so many seconds, whether
 * the connection is idle (keepalive) or has data in flight (TCP_USER_TIMEOUT, RFC 5482). The socket then
 * ends with ETIMEDOUT. They stay in force when Node's setKeepAlive() is called later.
 *
 * Idle: the first probe is sent after TCP_KEEPIDLE, then one each TCP_KEEPINTVL, and at the last one
 * TCP_USER_TIMEOUT has passed; in all TCP_KEEPIDLE + TCP_KEEPINTVL x TCP_KEEPCNT = `seconds`. In flight:
 * `seconds` after the first transmission that was not acknowledged, however often it was repeated.
 * Linux; macOS has no TCP_USER_TIMEOUT. TCP_RTO_MAX_MS would change nothing: the timer of the next
 * retransmission is cut to what is left of TCP_USER_TIMEOUT (tcp_clamp_rto_to_user_timeout() in
 * net/ipv4/tcp_timer.c).
 *
 * @param seconds a whole number from 2 to 32,767
 * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE
 */
export function deadPeerDetection(seconds: number): DeadPeerSettings {
  checkWhole('seconds', seconds, 2, MAX_SECONDS)
  const interval = Math.max(1, Math.floor(seconds / INTERVAL_SHARE))
  const probes = Math.min(PROBES, seconds - 1)
  return {
    SO_KEEPALIVE: true,
    TCP_KEEPIDLE: seconds - interval * probes,
    TCP_KEEPINTVL: interval,
    TCP_KEEPCNT: probes,
    TCP_USER_TIMEOUT: 1000 * seconds,
  }
}

import { checkWhole } from '../errors'

/** Settings that detect a dead peer. A type, so that it is assignable to a record. */
// eslint-disable-next-line @typescript-eslint/consistent-type-definitions -- an interface has no index signature
export type DeadPeerSettings = {
  readonly SO_KEEPALIVE: true
  readonly TCP_KEEPIDLE: number
  readonly TCP_KEEPINTVL: number
  readonly TCP_KEEPCNT: number
  readonly TCP_USER_TIMEOUT: number
}

/** Enough probes that a few lost packets do not end a connection. */
const PROBES = 4
/** With four intervals of a sixth, the first probe goes out after a third of the time. */
const INTERVAL_SHARE = 6
/** The limit of TCP_KEEPIDLE; 9 hours. */
const MAX_SECONDS = 32_767

/**
 * Returns settings that detect a peer that has vanished without a FIN or RST. The socket fails with
 * ETIMEDOUT after `seconds`, whether the connection is idle (keepalive) or has data in flight
 * (TCP_USER_TIMEOUT, RFC 5482). The settings stay in force after a later setKeepAlive() of Node.
 *
 * Idle: the kernel sends the first probe after TCP_KEEPIDLE and the next ones at intervals of
 * TCP_KEEPINTVL. It ends the connection after TCP_KEEPIDLE + TCP_KEEPINTVL x TCP_KEEPCNT = `seconds`, when
 * TCP_USER_TIMEOUT has passed too. In flight: `seconds` after the first transmission of the data that is not
 * acknowledged, regardless of the number of retransmits. Linux; macOS has no TCP_USER_TIMEOUT.
 * TCP_RTO_MAX_MS is not needed: the kernel limits the timer of the next retransmission to the rest of
 * TCP_USER_TIMEOUT (tcp_clamp_rto_to_user_timeout() in net/ipv4/tcp_timer.c).
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

import { deadPeerDetection } from './dead-peer'
import type { Settings } from './option'

/**
 * Settings for common purposes: plain objects, to be passed to `tune()` or spread into one's own.
 */
export const profiles = {
  /**
   * Small messages that must arrive at once: no Nagle delay, little unsent data queued in front of a
   * new message, and no exponential back-off while few segments are in flight.
   */
  lowLatency: {
    TCP_NODELAY: true,
    TCP_NOTSENT_LOWAT: 16_384,
    TCP_THIN_LINEAR_TIMEOUTS: true,
  },
  /**
   * Much data in one direction: full segments, and 128 KiB unsent ahead of the network. Buffer sizes
   * are left to the kernel, whose autotuning a fixed SO_RCVBUF or SO_SNDBUF would switch off.
   */
  bulkTransfer: {
    TCP_NODELAY: false,
    TCP_NOTSENT_LOWAT: 131_072,
  },
  /**
   * A peer that is gone is noticed after 30 s: idle by keepalive (10 s idle, then 4 probes 5 s apart),
   * and with data in flight by TCP_USER_TIMEOUT. For another time see `deadPeerDetection(seconds)`.
   */
  deadPeerDetection: deadPeerDetection(30),
  /**
   * A client that opens and closes many connections: no Nagle delay, and an unanswered peer is given
   * up after 10 s of unacknowledged data. Close with mode `deliver`.
   */
  stressClient: {
    TCP_NODELAY: true,
    TCP_USER_TIMEOUT: 10_000,
  },
  /** A server of many idle keep-alive connections: dead ones are found within about 3 minutes. */
  keepAliveServer: {
    TCP_NODELAY: true,
    SO_KEEPALIVE: true,
    TCP_KEEPIDLE: 60,
    TCP_KEEPINTVL: 15,
    TCP_KEEPCNT: 8,
  },
} as const satisfies Record<string, Settings>

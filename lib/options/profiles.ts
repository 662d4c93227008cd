import { deadPeerDetection } from './dead-peer'
import type { Settings } from './option'

/**
 * Settings for common purposes: plain objects to pass to `tune()` or to spread into other settings.
 */
export const profiles = {
  /**
   * For small messages that must arrive at once: no Nagle delay, little unsent data queued ahead of a
   * new message, and no exponential back-off while few segments are in flight.
   */
  lowLatency: {
    TCP_NODELAY: true,
    TCP_NOTSENT_LOWAT: 16_384,
    TCP_THIN_LINEAR_TIMEOUTS: true,
  },
  /**
   * For bulk data in one direction: full segments, and at most 128 KiB of unsent data queued. The kernel
   * tunes the buffer sizes; a fixed SO_RCVBUF or SO_SNDBUF would stop that.
   */
  bulkTransfer: {
    TCP_NODELAY: false,
    TCP_NOTSENT_LOWAT: 131_072,
  },
  /**
   * Detects a dead peer after 30 s: by keepalive on an idle connection (10 s idle, then 4 probes at
   * intervals of 5 s), by TCP_USER_TIMEOUT with data in flight. For other times, see
   * `deadPeerDetection(seconds)`.
   */
  deadPeerDetection: deadPeerDetection(30),
  /**
   * For a client that opens and closes many connections: no Nagle delay, and the connection ends after
   * 10 s of unacknowledged data. Close with mode `deliver`.
   */
  stressClient: {
    TCP_NODELAY: true,
    TCP_USER_TIMEOUT: 10_000,
  },
  /** For a server with many idle keep-alive connections: detects dead ones within 3 minutes. */
  keepAliveServer: {
    TCP_NODELAY: true,
    SO_KEEPALIVE: true,
    TCP_KEEPIDLE: 60,
    TCP_KEEPINTVL: 15,
    TCP_KEEPCNT: 8,
  },
} as const satisfies Record<string, Settings>

/**
 * A connection below the protocol of a run: bytes in both directions, and its end. There are two kinds. A descriptor
 * that is polled costs a fraction of a net.Socket; TLS, waiting for ports and other platforms need a net.Socket.
 */
import type { Buffer } from 'node:buffer'
import type { TcpInfo } from '../observe/tcp-info'

export interface Wire {
  write(bytes: Buffer): void
  /** Closes it in the mode of the run. {@link WireUser.closed} follows, in a later call. */
  close(): void
  /** @throws if the platform has no TCP_INFO, or it is closed */
  info(): TcpInfo
}

/** The connection that uses a wire. `nowMs` is the moment of the event, ms of performance.now(). */
export interface WireUser {
  /** @param waitedMs how long it waited for a free port, ms */
  connected(nowMs: number, waitedMs: number): void
  /** The TLS handshake is complete. @param alpnProtocol what the target chose; no string without ALPN */
  secured(nowMs: number, alpnProtocol: unknown): void
  /** Bytes have come, from one index of the buffer to another. They are valid until the call returns. */
  received(buffer: Buffer, from: number, to: number, nowMs: number): void
  /** The target has finished. */
  ended(nowMs: number): void
  failed(error: NodeJS.ErrnoException): void
  closed(nowMs: number): void
}

/** Opens wires to the target of a run. */
export interface Wires {
  /** Whether {@link WireUser.secured} follows {@link WireUser.connected}. */
  readonly areSecured: boolean
  /** @throws if the connection cannot be attempted */
  open(user: WireUser): Wire
  /** To be called when all wires are closed. */
  close(): void
}

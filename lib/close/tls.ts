/** The session tickets and other input of a TLS peer that a close has to reckon with. */
import type * as net from 'node:net'
import { carrierOf, handleOf } from '../node/handle'
import { cipherOf, hasSentFinished, hasTicket, isTls, isTlsClient, tlsVersionOf } from '../node/tls'

export { isTls }

/**
 * Whether a TLS 1.3 server's session tickets may still be on their way (RFC 8446 section 4.6.1).
 * They follow the handshake unasked. Should they come after close(), they are answered by a RST, and
 * what was written and not acknowledged is lost. A server may speak before it sends them, so that having
 * read something tells nothing, and how many there are only the server knows. A client that gives up
 * before the handshake is over gets none.
 */
export function awaitsTickets(socket: net.Socket): boolean {
  if (!isTlsClient(socket) || tlsVersionOf(socket) !== 'TLSv1.3') return false
  return !isClosing(socket) || hasSentFinished(socket)
}

/** Whether nothing more will be sent. The connection below may be destroyed before the TLS socket is. */
function isClosing(socket: net.Socket): boolean {
  return socket.destroyed || carrierOf(socket).destroyed
}

/**
 * Whether not even the first of them has come to a client that {@link awaitsTickets}. One that uses an
 * earlier session again has a ticket from before, and this is false.
 */
export function lacksTicket(socket: net.Socket): boolean {
  return !hasRead(socket) && !hasTicket(socket)
}

/** Whether anything of the peer's has been read: session tickets do not count. */
export function hasRead(socket: net.Socket): boolean {
  return handleOf(socket)?.bytesRead !== 0
}

/** The size of a close_notify record, 0 without TLS: header 5, alert 2, and what the cipher adds. */
export function closeNotifySize(socket: net.Socket): number {
  if (!isTls(socket)) return 0
  return 7 + (isOlder(socket) ? addedByOlder(cipherOf(socket)) : ADDED)
}

/** TLS 1.3: type 1, tag 16 (RFC 8446 section 5.2). */
const ADDED = 17

function isOlder(socket: net.Socket): boolean {
  const version = tlsVersionOf(socket)
  return version !== undefined && version !== 'TLSv1.3'
}

function addedByOlder(cipher: string): number {
  // Tag 16 (RFC 7905).
  if (cipher.includes('CHACHA20')) return 16
  // Nonce 8, tag 8 (RFC 6655).
  if (cipher.endsWith('CCM8')) return 16
  // Nonce 8, tag 16 (RFC 5288, RFC 6655).
  if (cipher.includes('GCM') || cipher.includes('CCM')) return 24
  // A block cipher with encrypt-then-MAC (RFC 7366): vector 16, padding 14, MAC.
  if (cipher.endsWith('SHA384')) return 78
  return cipher.endsWith('SHA256') ? 62 : 50
}

/** Bytes that were not decrypted, without the close_notify that a peer which has finished sends last. */
export function withoutCloseNotify(bytes: number, size: number, peerFinished: boolean): number {
  return peerFinished ? Math.max(0, bytes - size) : bytes
}

/** The input that a close must expect from a TLS peer, such as session tickets. */
import type { StreamLike } from '../node/descriptor-stream'
import { carrierOf, handleOf } from '../node/handle'
import { cipherOf, hasSentFinished, hasTicket, isTls, isTlsClient, tlsVersionOf } from '../node/tls'

export { isTls }

/**
 * Whether a TLS 1.3 server's session tickets may still be on their way (RFC 8446 section 4.6.1).
 * They follow the handshake unrequested. If they arrive after close(), the kernel answers with a RST, and what was
 * written and not acknowledged is lost. A server may send data before them, so having read something proves nothing, and
 * only the server knows how many there are. A client that closes before the handshake is complete gets none.
 */
export function awaitsTickets(socket: StreamLike): boolean {
  if (!isTlsClient(socket) || tlsVersionOf(socket) !== 'TLSv1.3') return false
  return !isClosing(socket) || hasSentFinished(socket)
}

/** Whether nothing more will be sent. The connection below may be destroyed before the TLS socket. */
function isClosing(socket: StreamLike): boolean {
  return socket.destroyed || carrierOf(socket).destroyed
}

/**
 * Whether a client that {@link awaitsTickets} has not received even the first one. False for a client that resumes an
 * earlier session, since it already has a ticket.
 */
export function lacksTicket(socket: StreamLike): boolean {
  return !hasRead(socket) && !hasTicket(socket)
}

/** Whether any data of the peer has been read. Session tickets do not count. */
export function hasRead(socket: StreamLike): boolean {
  return handleOf(socket)?.bytesRead !== 0
}

/** The size of a close_notify record: header 5, alert 2, and what the cipher adds. 0 without TLS. */
export function closeNotifySize(socket: StreamLike): number {
  if (!isTls(socket)) return 0
  return 7 + (isOlder(socket) ? addedByOlder(cipherOf(socket)) : ADDED)
}

/** TLS 1.3: type 1, tag 16 (RFC 8446 section 5.2). */
const ADDED = 17

function isOlder(socket: StreamLike): boolean {
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

/** Bytes that were not decrypted, without the close_notify that a peer sends last before it finishes. */
export function withoutCloseNotify(bytes: number, size: number, peerFinished: boolean): number {
  return peerFinished ? Math.max(0, bytes - size) : bytes
}

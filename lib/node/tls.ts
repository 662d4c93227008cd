/**
 * The undocumented parts of Node's TLS sockets.
 *
 * A TLS socket keeps its handle after Node has freed the SSL object of OpenSSL: after 'close', after an AbortSignal
 * that was aborted before the socket connected, and while the socket is connected a second time. Nearly every method
 * of the handle then dereferences a null pointer and ends the process with SIGSEGV, even documented ones such as
 * `getProtocol()`. Therefore nothing here calls a method unless {@link hasSsl} is true.
 */
import type * as net from 'node:net'
import { handleOf, transportHandleOf, type Handle } from './handle'

const kBeforeFinished = Symbol('socket-tuner TLS handshake')

/** The members of a tls.TLSSocket that are used here. Declared, to avoid loading node:tls. */
interface TlsParts {
  readonly encrypted?: boolean
  readonly _tlsOptions?: { readonly isServer?: boolean } | null
  /** Set by Node right before 'secure'. */
  readonly _secureEstablished?: boolean
  /** Bytes that were written to the transport when OpenSSL completed the handshake. */
  [kBeforeFinished]?: number
}

interface TlsHandle extends Handle {
  readonly getProtocol: () => string | null
  readonly getTLSTicket: () => Buffer | undefined
  readonly getCipher: () => { readonly name: string } | undefined
}

export function isTls(socket: object): boolean {
  return (socket as TlsParts).encrypted === true
}

/** Whether the socket is the client's side of TLS. */
export function isTlsClient(socket: object): boolean {
  const { encrypted, _tlsOptions } = socket as TlsParts
  return encrypted === true && _tlsOptions?.isServer !== true
}

/** Whether the SSL object still exists, so that methods of the handle may be called. */
export function hasSsl(socket: object): boolean {
  return tlsHandleOf(socket) !== undefined
}

/** The negotiated version, for example `'TLSv1.3'`; undefined before the handshake is complete and without an SSL object. */
export function tlsVersionOf(socket: object): string | undefined {
  // Before the handshake is complete, OpenSSL reports the latest version that the client offers.
  if ((socket as TlsParts)._secureEstablished === false) return undefined
  return tlsHandleOf(socket)?.getProtocol() ?? undefined
}

/** OpenSSL's name of the cipher in use; empty if there is none. */
export function cipherOf(socket: object): string {
  return tlsHandleOf(socket)?.getCipher()?.name ?? ''
}

/** Whether the client has a session ticket for its next connection, from this connection or an earlier one. */
export function hasTicket(socket: object): boolean {
  return tlsHandleOf(socket)?.getTLSTicket() !== undefined
}

/**
 * Prepares a socket with a close mode for its handshake, and for {@link hasSentFinished}. In TLS 1.3, the last
 * handshake message of the client is sent only after the listeners of 'secure' and 'secureConnect' have returned. It
 * is never sent if one of them destroys the socket, or if Node does because of the certificate.
 */
export function watchHandshake(socket: net.Socket): void {
  const parts = socket as TlsParts
  if (parts._secureEstablished !== false || parts[kBeforeFinished] !== undefined) return
  parts[kBeforeFinished] = 0
  // With an AbortSignal that is already aborted, Node emits 'close', still connects, and frees the SSL object
  // later: the answer of the server would end the process with SIGABRT.
  if (isTlsClient(socket)) {
    socket.prependOnceListener('close', () => {
      if (socket.connecting) socket.destroy()
    })
  }
  // Runs before Node's own listener, which checks the certificate.
  socket.prependOnceListener('secure', () => {
    parts[kBeforeFinished] = transportHandleOf(socket)?.bytesWritten ?? 0
  })
}

/**
 * Whether the last handshake message of a TLS 1.3 client has been sent; the server sends nothing more without it. Also
 * true for a handshake that {@link watchHandshake} did not watch.
 */
export function hasSentFinished(socket: object): boolean {
  const before = (socket as TlsParts)[kBeforeFinished]
  return before === undefined || (transportHandleOf(socket)?.bytesWritten ?? Infinity) > before
}

/**
 * Whether the data of the program is still unencrypted. Node holds it until the handshake is complete and the
 * listeners of 'secure' and 'secureConnect' have returned, although the handle counts it as written. In these
 * listeners, false for a handshake that {@link watchHandshake} did not watch.
 */
export function holdsCleartext(socket: object): boolean {
  // A TLS socket that is connected a second time has a plain TCP handle.
  if (handleOf(socket)?._parent === undefined) return false
  return (socket as TlsParts)._secureEstablished === false || !hasSentFinished(socket)
}

/**
 * The handle while its SSL object exists. Only `fd` shows that: it is UV_EINVAL once the SSL object is freed, and -1
 * for a connection without a descriptor.
 */
function tlsHandleOf(socket: object): TlsHandle | undefined {
  const handle = handleOf(socket) as Partial<TlsHandle> | undefined
  // A TLS socket that is connected a second time has a plain TCP handle.
  if (typeof handle?.getProtocol !== 'function' || typeof handle.getTLSTicket !== 'function')
    return undefined
  return typeof handle.fd === 'number' && handle.fd >= -1 ? (handle as TlsHandle) : undefined
}

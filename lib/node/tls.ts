/**
 * The parts of Node's TLS sockets that its documentation leaves out.
 *
 * A TLS socket keeps its handle after Node has freed what OpenSSL knows of the connection: after
 * 'close', after an AbortSignal that was aborted before the socket connected, and while the socket is
 * connected a second time. Nearly every method of the handle then reads through a null pointer, and
 * the process ends by SIGSEGV, also for documented methods such as `getProtocol()`. So nothing here
 * calls one before {@link hasSsl} says that it may.
 */
import type * as net from 'node:net'
import { handleOf, transportHandleOf, type Handle } from './handle'

const kBeforeFinished = Symbol('socket-tuner TLS handshake')

/** The parts of a tls.TLSSocket that are used, without loading node:tls for it. */
interface TlsParts {
  readonly encrypted?: boolean
  readonly _tlsOptions?: { readonly isServer?: boolean } | null
  /** Set by Node right before 'secure'. */
  readonly _secureEstablished?: boolean
  /** Bytes that had been given to the transport when OpenSSL had completed the handshake. */
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

/** Whether Node can still be asked what OpenSSL knows of the connection. */
export function hasSsl(socket: object): boolean {
  return tlsHandleOf(socket) !== undefined
}

/** The negotiated version, `'TLSv1.3'` or older; undefined before the handshake is over and when it is lost. */
export function tlsVersionOf(socket: object): string | undefined {
  // Before that, OpenSSL reports the latest version that the client offers.
  if ((socket as TlsParts)._secureEstablished === false) return undefined
  return tlsHandleOf(socket)?.getProtocol() ?? undefined
}

/** OpenSSL's name of the cipher in use; empty where there is none. */
export function cipherOf(socket: object): string {
  return tlsHandleOf(socket)?.getCipher()?.name ?? ''
}

/** Whether the client has a session ticket for the next connection, an earlier connection's included. */
export function hasTicket(socket: object): boolean {
  return tlsHandleOf(socket)?.getTLSTicket() !== undefined
}

/**
 * Prepares a socket for its handshake under a close mode, and for {@link hasSentFinished}. In TLS 1.3 the
 * client's last message of the handshake leaves only after the listeners of 'secure' and 'secureConnect'
 * have returned, and never if one of them, or Node because of the certificate, destroys the socket.
 */
export function watchHandshake(socket: net.Socket): void {
  const parts = socket as TlsParts
  if (parts._secureEstablished !== false || parts[kBeforeFinished] !== undefined) return
  parts[kBeforeFinished] = 0
  // With an AbortSignal that was aborted before, Node emits 'close', connects all the same and frees the SSL
  // later: the server's answer would end the process by SIGABRT.
  if (isTlsClient(socket)) {
    socket.prependOnceListener('close', () => {
      if (socket.connecting) socket.destroy()
    })
  }
  // Before Node's own listener, which checks the certificate.
  socket.prependOnceListener('secure', () => {
    parts[kBeforeFinished] = transportHandleOf(socket)?.bytesWritten ?? 0
  })
}

/**
 * Whether the last message of a TLS 1.3 client's handshake has left, without which the server sends
 * nothing more. True as well for a handshake that {@link watchHandshake} did not watch.
 */
export function hasSentFinished(socket: net.Socket): boolean {
  const before = (socket as TlsParts)[kBeforeFinished]
  return before === undefined || (transportHandleOf(socket)?.bytesWritten ?? Infinity) > before
}

/**
 * Whether nothing that the program wrote has been encrypted yet. Node keeps it until the handshake is over and
 * the listeners of 'secure' and 'secureConnect' have returned, and the handle counts it as written all the
 * same. In these listeners, false for a handshake that {@link watchHandshake} did not watch.
 */
export function holdsCleartext(socket: net.Socket): boolean {
  // A TLS socket that is connected a second time has a plain TCP handle.
  if (handleOf(socket)?._parent === undefined) return false
  return (socket as TlsParts)._secureEstablished === false || !hasSentFinished(socket)
}

/**
 * The handle while OpenSSL's part is there. `fd` is the one property that tells: UV_EINVAL once that is
 * freed, -1 for a connection without a descriptor.
 */
function tlsHandleOf(socket: object): TlsHandle | undefined {
  const handle = handleOf(socket) as Partial<TlsHandle> | undefined
  // A TLS socket that is connected a second time has a plain TCP handle.
  if (typeof handle?.getProtocol !== 'function' || typeof handle.getTLSTicket !== 'function')
    return undefined
  return typeof handle.fd === 'number' && handle.fd >= -1 ? (handle as TlsHandle) : undefined
}

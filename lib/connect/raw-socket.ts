import * as net from 'node:net'
import { addAbortSignal } from 'node:stream'
import { getSystemErrorName } from 'node:util'
import { native } from '../kernel/binding'
import {
  ArgumentTypeError,
  ArgumentValueError,
  SocketOptionError,
  SocketTunerError,
} from '../errors'
import { requireAdoption } from '../node/descriptors'
import { getOption, writeOption } from '../options/access'
import { holdKeepAlive, type Held } from '../options/keep-alive'
import type {
  OptionInput,
  OptionValue,
  ReadableOption,
  Settings,
  WritableOption,
} from '../options/option'
import {
  applySettings,
  prepareSettings,
  requirePresent,
  type Checked,
  type TuneReport,
} from '../options/tune'
import type { SocketAddress } from '../options/kinds/peer-info'
import { isServer } from '../target'
import { announce } from '../warnings'
import { checkFamily, familyOf, wrongFamily, type IpFamily } from './address'
import { bindFailure, listenFailureOf } from './bind-failure'
import { boundAddress } from './local-address'
import { explainFailures } from './connect-failure'
import { alreadyListening, listenOnDescriptor, untilListening } from './listening'
import { adoptSocket, openSocket } from './open'
import {
  bindOptions,
  checkPortArgument,
  listenOnOptions,
  rawConnectOptions,
  rawSocketOptions,
  type BindOptions,
  type ListenOnOptions,
  type RawConnectOptions,
  type RawSocketOptions,
} from './raw-socket-options'

/** Closes the descriptor of a garbage-collected RawSocket. The held value must not refer to the RawSocket. */
const dropped = new FinalizationRegistry<object>((owner) => {
  const fd = native.disownFd(owner)
  if (fd < 0) return
  native.closeFd(fd)
  announce(
    'SOCKET_TUNER_DROPPED_SOCKET',
    'RawSocket',
    `A RawSocket was garbage-collected without close(): its descriptor ${String(fd)} is now closed`,
  )
})

/**
 * A TCP socket that is neither bound nor connected yet, so that options can be set before bind(), connect() or
 * listen(). `connect()` hands its descriptor over to a net.Socket, `listenOn()` to a server; afterwards, using
 * the RawSocket throws ERR_SOCKET_TUNER_HANDED_OVER. Not on Windows.
 *
 * It owns its descriptor: call `close()`, or declare it with `using`. If it is garbage-collected while open, the
 * descriptor is closed with a warning; at the latest it is closed when the thread ends.
 */
export class RawSocket implements Disposable {
  readonly family: IpFamily
  readonly #owner = {}
  /** The options that the net.Socket must keep in force. */
  readonly #held: Held[]
  #fd: number
  /** The arguments of bind(). */
  #bound: BindOptions = {}
  #end: 'open' | 'closed' | 'handed over' = 'open'

  /**
   * Opens a socket and applies settings to it.
   *
   * @param family 4 or 'IPv4', 6 or 'IPv6'
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; ERR_SOCKET_TUNER_UNSUPPORTED
   *   if this platform or kernel lacks such sockets or one of the options; the errno name if socket(2)
   *   fails (`EMFILE`, `EAFNOSUPPORT`) or a setting is refused (`EPERM`)
   */
  static open<const S extends Settings>(
    family: 4 | 6 | 'IPv4' | 'IPv6',
    settings?: S & Checked<S>,
    options: RawSocketOptions = {},
  ): RawSocket {
    const checked = checkFamily('family', family)
    if (checked === 0)
      throw new ArgumentValueError('family', "must be one of: 4, 6, 'IPv4', 'IPv6'", family)
    const { mptcp } = rawSocketOptions.check('options', options)
    return new RawSocket(checked, settings ?? {}, mptcp)
  }

  private constructor(family: IpFamily, settings: Settings, mptcp: boolean) {
    const prepared = prepareSettings(settings)
    requirePresent(prepared.missing)
    const { fd, report } = openSocket(family, prepared, { mptcp })
    const absent = Object.entries(report).find(([, { status }]) => status === 'unsupported')
    const kept = absent === undefined ? native.ownFd(fd, this.#owner) : 0
    if (kept < 0 || absent !== undefined) {
      native.closeFd(fd)
      throw notOpened(kept, absent)
    }
    this.family = family
    this.#held = [...prepared.held]
    this.#fd = fd
    dropped.register(this, this.#owner, this)
  }

  /** The descriptor. @throws ERR_SOCKET_TUNER_HANDED_OVER, ERR_SOCKET_TUNER_DESTROYED */
  get fd(): number {
    if (this.#end === 'open') return this.#fd
    throw this.#end === 'closed'
      ? new SocketTunerError('The RawSocket is closed', { code: 'ERR_SOCKET_TUNER_DESTROYED' })
      : new SocketTunerError('The RawSocket has been handed over', {
          code: 'ERR_SOCKET_TUNER_HANDED_OVER',
        })
  }

  /** The address and port that the socket is bound to; port 0 if it is not bound. @throws as {@link fd} */
  get localAddress(): SocketAddress {
    const { fd } = this
    const address = boundAddress(fd)
    const port = native.localPort(fd)
    if (typeof address === 'number' || port < 0) {
      const errno = typeof address === 'number' ? address : port
      const code = getSystemErrorName(errno)
      throw new SocketTunerError(`getsockname on fd ${String(fd)}: ${code}`, {
        code,
        errno,
        syscall: 'getsockname',
        fd,
      })
    }
    const family = this.family === 6 ? 'IPv6' : 'IPv4'
    return { family, address, port }
  }

  /** As `tune(rawSocket, settings)`. @throws as that, and as {@link fd} */
  tune<const S extends Settings>(settings: S & Checked<S>): TuneReport<S> {
    const prepared = prepareSettings(settings)
    const report = applySettings(this, prepared)
    this.#held.push(...prepared.held)
    return report
  }

  /** As `setOption(rawSocket, name, value)`. @throws as that, and as {@link fd} */
  setOption<N extends WritableOption>(name: N, value: OptionInput<N>): void {
    const held = writeOption(this, name, value)
    if (held !== undefined) this.#held.push(held)
  }

  /** As `getOption(rawSocket, name)`. @throws as that, and as {@link fd} */
  getOption<N extends ReadableOption>(name: N): OptionValue<N> {
    return getOption(this, name)
  }

  /**
   * Binds to a local address and port (bind(2)).
   *
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE;
   *   ERR_SOCKET_TUNER_ADDRESS_FAMILY; EADDRNOTAVAIL for an address that is not on this host,
   *   EADDRINUSE, EACCES, EINVAL if it is already bound; as {@link fd}
   */
  bind(options: BindOptions = {}): this {
    const { port, ...checked } = bindOptions.check('options', options)
    const { address = this.family === 6 ? '::' : '0.0.0.0' } = checked
    if (familyOf('options.address', address) !== this.family)
      throw wrongFamily('options.address', address, this.family)
    const result = native.bindFd(this.fd, address, port)
    if (result < 0) {
      const space = getSystemErrorName(result) === 'EADDRINUSE' ? 'bind' : undefined
      throw bindFailure(result, address, port, { fd: this.#fd, space })
    }
    this.#bound = { address, port }
    return this
  }

  /**
   * Connects, and hands the descriptor over to the net.Socket that it returns. A host name is looked up in the
   * family of the socket, and its first address is used.
   *
   * @throws ERR_INVALID_ARG_TYPE; ERR_SOCKET_BAD_PORT; ERR_SOCKET_TUNER_ADDRESS_FAMILY; as {@link fd}.
   *   The RawSocket then stays open. Later failures are emitted as 'error', with the cause and the fix in the
   *   message
   */
  connect(options: RawConnectOptions, connectListener?: () => void): net.Socket {
    rawConnectOptions.check('options', options)
    requireAdoption('A RawSocket cannot be handed over', 'connect')
    const { host, port } = options
    checkPortArgument(port)
    if (host !== undefined) {
      if (typeof host !== 'string')
        throw new ArgumentTypeError('options.host', 'of type string', host)
      const literal = net.isIP(host)
      if (literal !== 0 && literal !== this.family)
        throw wrongFamily('options.host', host, this.family)
    }
    // If an aborted signal ended the socket before connect(), connect() would open another descriptor.
    const { timeout, signal, ...rest } = options
    const socket = adoptSocket(this.#handOver(), rest)
    holdKeepAlive(socket, this.#held)
    explainFailures(socket, this.#bound)
    if (timeout !== undefined) socket.setTimeout(timeout)
    socket.connect(
      { ...rest, family: this.family, autoSelectFamily: false } as net.TcpNetConnectOpts,
      connectListener,
    )
    return signal === undefined ? socket : addAbortSignal(signal, socket)
  }

  /**
   * Makes a server listen on the socket, and hands the descriptor over to the server. Without a prior bind() the
   * server listens on all addresses, on a port that the kernel chooses. In a cluster worker the listening socket
   * belongs to the worker. Resolves once the server listens.
   *
   * @throws (as a rejection) ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_SERVER_ALREADY_LISTEN, and the
   *   RawSocket stays open; as {@link fd}; the error that the server emits, for example EADDRINUSE
   */
  async listenOn(server: net.Server, options: ListenOnOptions = {}): Promise<net.AddressInfo> {
    if (!isServer(server))
      throw new ArgumentTypeError('server', 'an instance of net.Server', server)
    const { backlog } = listenOnOptions.check('options', options)
    requireAdoption('A RawSocket cannot be handed over', 'listen')
    const { fd, localAddress } = this
    if (server.listening) throw alreadyListening('The server')
    try {
      await untilListening(server, () => {
        this.#handOver()
        listenOnDescriptor(server, fd, backlog)
      })
    } catch (error) {
      throw listenFailureOf(error as Error, localAddress)
    }
    return server.address() as net.AddressInfo
  }

  /** Closes the descriptor. Does nothing if it is already closed or was handed over. */
  close(): void {
    if (this.#end !== 'open') return
    const fd = this.#release()
    this.#end = 'closed'
    if (fd >= 0) native.closeFd(fd)
  }

  /** As {@link close}. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** Gives the descriptor away. */
  #handOver(): number {
    const { fd } = this
    this.#release()
    this.#end = 'handed over'
    return fd
  }

  #release(): number {
    dropped.unregister(this)
    return native.disownFd(this.#owner)
  }
}

function notOpened(
  errno: number,
  absent: [string, { readonly status: string }] | undefined,
): SocketTunerError {
  if (errno < 0) {
    return new SocketTunerError('The descriptor could not be kept', {
      code: getSystemErrorName(errno),
      errno,
    })
  }
  const [option = '', outcome] = absent ?? []
  const { why = '' } = outcome as { why?: string }
  return new SocketOptionError(`${option} is not supported here: ${why}`, {
    code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
    option,
  })
}

/**
 * Node's connect() under a tuning: checks the options first, intercepts connect(2), and races the addresses of a
 * host with all settings in force. Used for net.connect() and for a net.Socket that exists before it connects.
 */
import type { LookupOptions } from 'node:dns'
import type * as net from 'node:net'
import {
  BlockList,
  getDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  isIP,
} from 'node:net'
import { addAbortSignal } from 'node:stream'
import { attachPolicy, observeClose, stopObserving } from '../close/hooks'
import { ClosePolicy } from '../close/mode'
import type { Observer } from '../close/modes'
import {
  ArgumentTypeError,
  ArgumentValueError,
  checkBoolean,
  checkOptions,
  checkWhole,
} from '../errors'
import { native } from '../kernel/binding'
import { requireAdoption, whyNoAdoption } from '../node/descriptors'
import { handleOf } from '../node/handle'
import { checkFamily, checkPort, familyOf, wrongFamily, type IpFamily } from './address'
import { intercept, settle, type Attempt, type Plan } from './attempt'
import type { Dialer } from './dialer'
import { race } from './race'
import { resolve, type Address } from './resolve'
import type { Tuning } from './tuning'
import { checkUnix, connectUnix } from './connect-unix'
import { MAX_INT32 } from '../spec'

/** With options that only some releases of Node have, and that its types lack. */
type TcpOptions = net.TcpNetConnectOpts & {
  /** Node has it since 22.13; this library supports it on every release. */
  readonly blockList?: net.BlockList | null | undefined
  readonly fd?: unknown
  readonly handle?: unknown
}

type LookupCallback = Parameters<net.LookupFunction>[2]

/** The minimum Connection Attempt Delay of RFC 8305 section 5 and of Node. Shorter ones are raised to it. */
const LEAST_ATTEMPT_DELAY_MS = 10

/**
 * Connects. The caller then attaches the close mode, and after it the signal, by {@link abortBy}.
 *
 * @throws as connect(), before anything is opened
 */
export function dial(
  options: net.NetConnectOpts,
  tuning: Tuning,
  dialer: Dialer,
  connectListener: (() => void) | undefined,
): net.Socket {
  checkOptions('options', options)
  checkSignal(options.signal)
  if (isPath(options)) {
    checkUnix('options.path', options.path, tuning)
    requireTunable(tuning)
    const rest = { ...options, signal: undefined }
    return connectUnix(rest, tuning.settings, dialer, connectListener)
  }
  if (whyNoAdoption === undefined) return connectTcp(options, tuning, dialer, connectListener)
  requireTunable(tuning)
  return dialer.connect({ ...options, signal: undefined }, connectListener)
}

/** @throws ERR_SOCKET_TUNER_UNSUPPORTED if the tuning needs more than this platform supports */
export function requireTunable({ onlyClose }: Tuning): void {
  if (!onlyClose)
    requireAdoption(
      'settings, source, portRange and portWaitMs cannot be applied before connect()',
      'connect',
    )
}

/** Sets the close mode of a tuning on a socket. */
export function withCloseMode<S extends net.Socket>(socket: S, { policy }: Tuning): S {
  if (policy !== undefined) attachPolicy(new ClosePolicy(socket, policy))
  return socket
}

/** Attaches the signal here, because net.connect() connects the socket even if its signal is already aborted. */
export function abortBy(signal: AbortSignal | null | undefined, socket: net.Socket): net.Socket {
  return signal ? addAbortSignal(signal, socket) : socket
}

/** Checks the signal like Node, but before anything is opened. @throws ERR_INVALID_ARG_TYPE */
export function checkSignal(signal: unknown): void {
  if (signal && !(typeof signal === 'object' && 'aborted' in signal))
    throw new ArgumentTypeError('options.signal', 'an instance of AbortSignal', signal)
}

/** @throws ERR_INVALID_ARG_TYPE */
export function checkBlockList(blockList: unknown): void {
  if (blockList !== undefined && blockList !== null && !(blockList instanceof BlockList))
    throw new ArgumentTypeError('options.blockList', 'an instance of net.BlockList', blockList)
}

/**
 * The options for Node. This library selects the address and binds; Node must not do it again.
 *
 * new net.Socket() copies them. Objects of a class keep their properties in place, so that the copy is cheap. Without a
 * class, a copy of the options of Node's agents, which have no prototype, is a hash table, and costs three times as much.
 */
class DialOptions {
  readonly [name: string]: unknown

  constructor(options: object, family: IpFamily | 0, lookup: net.LookupFunction) {
    const all = this as Record<string, unknown>
    for (const name of Object.keys(options)) all[name] = (options as typeof all)[name]
    all.autoSelectFamily = false
    all.localAddress = undefined
    all.localPort = undefined
    all.family = family
    all.lookup = lookup
    all.signal = undefined
  }

  static {
    Object.setPrototypeOf(this.prototype, null)
  }
}

function connectTcp(
  options: TcpOptions,
  tuning: Tuning,
  dialer: Dialer,
  connectListener: (() => void) | undefined,
): net.Socket {
  const plan = dialPlan(options, tuning)
  const family = checkFamilies(options, plan)
  const { all: several, delayMs } = checkSelection(options)
  checkNew(options)
  // Node accepts a string of digits too.
  const port = Number(String(options.port))
  const all: object = new DialOptions(options, family, find)
  const socket = dialer.connect(all as net.NetConnectOpts, connectListener)
  const attempt = intercept(socket, plan)
  const handle = handleOf(socket)
  if (tuning.pool !== undefined) settleLater(socket, attempt)
  return socket

  function find(hostname: string, asked: LookupOptions, callback: LookupCallback): void {
    const wanted = several ? { ...asked, all: true } : asked
    resolve(hostname, wanted, options.lookup, (result) => {
      // The socket was destroyed and is connecting again: this result belongs to the earlier connect().
      if (socket.connecting && handleOf(socket) !== handle) return
      if ('error' in result) callback(result.error as NodeJS.ErrnoException, '')
      else if ('addresses' in result) choose(hostname, result.addresses, callback)
      // Node refuses the result if it is not an address.
      else callback(null, result.address as string, result.family as number)
    })
  }

  function choose(host: string, addresses: readonly Address[], callback: LookupCallback): void {
    if (!socket.connecting) return
    race(socket, addresses, { host, port, plan, delayMs }, ({ address, family, fd, lease }) => {
      attempt.lease?.release(false)
      attempt.connected = fd
      attempt.lease = lease
      callback(null, address, family)
      dropConnected(attempt)
    })
  }
}

/** Closes a connection that Node's connect() did not use because the program connected the socket elsewhere. */
function dropConnected(attempt: Attempt): void {
  if (attempt.connected === undefined) return
  native.closeFd(attempt.connected)
  attempt.connected = undefined
  attempt.lease?.release(false)
}

/** Settles the attempt with the pool once the connection is closed. */
function settleLater(socket: net.Socket, attempt: Attempt): void {
  const observer: Observer = (outcome) => {
    // The next connection of this socket has its own lease.
    stopObserving(socket, observer)
    settle(attempt, outcome)
  }
  observeClose(socket, observer)
}

/** Treats null, 0 and the empty string as missing, as Node does. */
function dialPlan(options: TcpOptions, tuning: Tuning): Plan {
  const localAddress = options.localAddress === '' ? undefined : (options.localAddress ?? undefined)
  const localPort = checkPort('options.localPort', options.localPort ?? undefined)
  if (localAddress !== undefined) {
    familyOf('options.localAddress', localAddress)
    if (tuning.family !== 0)
      throw new ArgumentValueError(
        'options.localAddress',
        'cannot be given together with source',
        localAddress,
      )
  }
  if (localPort > 0 && tuning.pool !== undefined)
    throw new ArgumentValueError(
      'options.localPort',
      'cannot be given together with several source addresses',
      localPort,
    )
  if (localPort > 0 && tuning.portWait !== undefined)
    throw new ArgumentValueError(
      'options.localPort',
      'cannot be given together with portWaitMs, which waits for a port that the kernel chooses',
      localPort,
    )
  const blockList = options.blockList ?? undefined
  checkBlockList(blockList)
  return { tuning, localAddress: localAddress ?? tuning.localAddress, localPort, blockList }
}

/** Returns whether to try all addresses of a host, and the delay before each further attempt, ms. */
function checkSelection(options: net.TcpNetConnectOpts): {
  readonly all: boolean
  readonly delayMs: number
} {
  const all = options.autoSelectFamily ?? getDefaultAutoSelectFamily()
  const delayMs =
    options.autoSelectFamilyAttemptTimeout ?? getDefaultAutoSelectFamilyAttemptTimeout()
  checkBoolean('options.autoSelectFamily', all)
  checkWhole('options.autoSelectFamilyAttemptTimeout', delayMs, 1, MAX_INT32)
  return { all, delayMs: Math.max(LEAST_ATTEMPT_DELAY_MS, delayMs) }
}

/** Refuses options that supply a descriptor, because this library opens it. */
function checkNew(options: TcpOptions): void {
  for (const name of ['fd', 'handle'] as const) {
    if (options[name] === undefined || options[name] === null) continue
    const reason = 'cannot be given: connect() opens the socket; use RawSocket for one of your own'
    throw new ArgumentValueError(`options.${name}`, reason, options[name])
  }
}

/** Returns the family to connect over, 0 for either. */
function checkFamilies(
  options: net.TcpNetConnectOpts,
  { tuning, localAddress }: Plan,
): IpFamily | 0 {
  const asked = checkFamily('options.family', options.family ?? undefined)
  const source = tuning.pool?.addresses[0] ?? localAddress
  if (source === undefined) return asked
  const family = familyOf('source', source)
  const { host } = options
  if (asked !== 0 && asked !== family) throw wrongFamily('source', source, asked)
  const literal = host === undefined ? 0 : isIP(host)
  if (literal !== 0 && literal !== family) throw wrongFamily('source', source, literal as IpFamily)
  return family
}

function isPath(options: net.NetConnectOpts): options is net.IpcNetConnectOpts {
  return Boolean((options as Partial<net.IpcNetConnectOpts>).path)
}

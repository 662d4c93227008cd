import type { LookupOptions } from 'node:dns'
import * as net from 'node:net'
import { addAbortSignal } from 'node:stream'
import { attachPolicy, observeClose } from '../close/hooks'
import {
  ArgumentTypeError,
  ArgumentValueError,
  checkBoolean,
  checkOptions,
  checkWhole,
} from '../errors'
import { requireAdoption, whyNoAdoption } from '../node/descriptors'
import { netConnectNames } from '../node/option-names'
import { sharedSpec } from '../spec'
import { checkFamily, checkPort, familyOf, wrongFamily, type IpFamily } from './address'
import { intercept, type Attempt, type Plan } from './attempt'
import { race } from './race'
import { resolve, type Address } from './resolve'
import { prepareTuning, tuningOptions, type Tuning, type TuningOptions } from './tuning'
import { checkUnix, connectUnix } from './unix'

/** The options of net.connect(), and what goes beyond them. */
export type ConnectOptions = net.NetConnectOpts & TuningOptions

export const connectOptions = sharedSpec(tuningOptions.fields, netConnectNames)

/** With what Node has in some releases only, and what its typings leave out. */
type TcpOptions = net.TcpNetConnectOpts & {
  /** Node 22.13 and later; here on every release. */
  readonly blockList?: net.BlockList | null | undefined
  readonly fd?: unknown
  readonly handle?: unknown
}

type LookupCallback = Parameters<net.LookupFunction>[2]

/** RFC 8305 section 5 and Node: a shorter Connection Attempt Delay is raised to this. */
const LEAST_ATTEMPT_DELAY_MS = 10

const MAX_INT32 = 2 ** 31 - 1

const NOTHING_BEFORE = 'No setting, source or portRange can be in force before connect()'

/**
 * Connects as net.connect() does, with options that are in force before connect(2), from a source
 * address that may come of a pool, and with a close mode. Returns a net.Socket with Node's own events
 * and errors.
 *
 * The settings are in force on every attempt. A host name with several addresses is tried in the
 * order and with the timing of RFC 8305: the next address when one has failed or has not answered
 * within `autoSelectFamilyAttemptTimeout` (default: Node's, 250 or 500 ms), side by side, and the first
 * one that answers is taken. With `autoSelectFamily: false` only the first address is tried.
 * `localAddress` reserves no port for other destinations (IP_BIND_ADDRESS_NO_PORT).
 *
 * `path` connects to a unix-domain socket, abstract ones included; `settings` may have options of
 * SOL_SOCKET that act there, and neither `source` nor `portRange` can be given. On Windows, Deno and Bun
 * there is only `close`.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_BAD_PORT;
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION for what is nearly the name of an option here;
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY for a source that is not of the destination's family;
 *   ERR_SOCKET_TUNER_WRONG_SOCKET for a setting that does not act on a unix-domain socket;
 *   ERR_SOCKET_TUNER_UNSUPPORTED. What comes later is emitted as 'error': the message names the way
 *   out, and with EADDRNOTAVAIL and EADDRINUSE `error.space` says which ports ran out
 */
export function connect(options: ConnectOptions, connectListener?: () => void): net.Socket {
  const tuning = prepareTuning(connectOptions.check('options', options))
  return connectTuned(options, tuning, connectListener)
}

/** The same with a tuning that was checked before. */
export function connectTuned(
  options: net.NetConnectOpts,
  tuning: Tuning,
  connectListener?: () => void,
): net.Socket {
  checkOptions('options', options)
  checkSignal(options.signal)
  const { signal } = options
  if (isPath(options)) {
    checkUnix('options.path', options.path, tuning)
    if (!tuning.onlyClose) requireAdoption(NOTHING_BEFORE, 'connect')
    const rest = { ...options, signal: undefined }
    return aborting(
      signal,
      withCloseMode(connectUnix(rest, tuning.settings, connectListener), tuning),
    )
  }
  if (whyNoAdoption === undefined) return connectTcp(options, tuning, connectListener)
  if (!tuning.onlyClose) requireAdoption(NOTHING_BEFORE, 'connect')
  return withCloseMode(net.connect(options, connectListener), tuning)
}

/** Given to net.connect(), a signal that is aborted already lets the socket connect all the same. */
function aborting(signal: AbortSignal | undefined, socket: net.Socket): net.Socket {
  return signal ? addAbortSignal(signal, socket) : socket
}

function connectTcp(
  options: TcpOptions,
  tuning: Tuning,
  connectListener: (() => void) | undefined,
): net.Socket {
  const plan = planOf(options, tuning)
  const family = checkFamilies(options, plan)
  const { all: several, delayMs } = checkSelection(options)
  checkNew(options)
  // Node takes digits too.
  const port = Number(String(options.port))
  // Node would choose the family, and bind, a second time.
  const rest = { autoSelectFamily: false, localAddress: undefined, localPort: undefined }
  const all = { ...options, ...rest, family, lookup: find, signal: undefined }
  const socket = net.connect(all as net.TcpNetConnectOpts, connectListener)
  const attempt = intercept(socket, plan)
  settleLater(socket, tuning, attempt)
  return aborting(options.signal, socket)

  function find(hostname: string, asked: LookupOptions, callback: LookupCallback): void {
    const wanted = several ? { ...asked, all: true } : asked
    resolve(hostname, wanted, options.lookup, (result) => {
      if ('error' in result) callback(result.error as NodeJS.ErrnoException, '')
      else if ('addresses' in result) choose(hostname, result.addresses, callback)
      // What is no address Node refuses.
      else callback(null, result.address as string, result.family as number)
    })
  }

  function choose(host: string, addresses: readonly Address[], callback: LookupCallback): void {
    if (!socket.connecting) return
    race(socket, addresses, { host, port, plan, delayMs }, ({ address, family, fd, lease }) => {
      attempt.connected = fd
      attempt.lease = lease
      callback(null, address, family)
    })
  }
}

/** Puts the socket under its close mode, and tells the pool when it is over and what it left behind. */
function settleLater(socket: net.Socket, tuning: Tuning, attempt: Attempt): void {
  withCloseMode(socket, tuning)
  if (tuning.pool === undefined) return
  observeClose(socket, ({ timeWait }) => {
    attempt.lease?.release(timeWait === 'here' || timeWait === 'unknown')
  })
}

function withCloseMode(socket: net.Socket, { policy }: Tuning): net.Socket {
  if (policy !== undefined) attachPolicy({ ...policy, socket, armed: false })
  return socket
}

/** As Node, which takes null, 0 and the empty string for what is not given. */
function planOf(options: TcpOptions, tuning: Tuning): Plan {
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
      'cannot be given together with a SourcePool',
      localPort,
    )
  const blockList = options.blockList ?? undefined
  if (blockList !== undefined && !(blockList instanceof net.BlockList))
    throw new ArgumentTypeError('options.blockList', 'an instance of net.BlockList', blockList)
  return { tuning, localAddress: localAddress ?? tuning.localAddress, localPort, blockList }
}

/** Whether all addresses of a host are tried, and how long each has before the next one is, ms. */
function checkSelection(options: net.TcpNetConnectOpts): {
  readonly all: boolean
  readonly delayMs: number
} {
  const all = options.autoSelectFamily ?? net.getDefaultAutoSelectFamily()
  const delayMs =
    options.autoSelectFamilyAttemptTimeout ?? net.getDefaultAutoSelectFamilyAttemptTimeout()
  checkBoolean('options.autoSelectFamily', all)
  checkWhole('options.autoSelectFamilyAttemptTimeout', delayMs, 1, MAX_INT32)
  return { all, delayMs: Math.max(LEAST_ATTEMPT_DELAY_MS, delayMs) }
}

/** As Node, but before anything is opened. */
function checkSignal(signal: unknown): void {
  if (signal && !(typeof signal === 'object' && 'aborted' in signal))
    throw new ArgumentTypeError('options.signal', 'an instance of AbortSignal', signal)
}

/** A socket that exists already has its descriptor, and these options make another one. */
function checkNew(options: TcpOptions): void {
  for (const name of ['fd', 'handle'] as const) {
    if (options[name] === undefined || options[name] === null) continue
    const reason = 'cannot be given: the socket is opened here; use RawSocket for one of your own'
    throw new ArgumentValueError(`options.${name}`, reason, options[name])
  }
}

/** The family to connect over, 0 for either. */
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
  const literal = host === undefined ? 0 : net.isIP(host)
  if (literal !== 0 && literal !== family) throw wrongFamily('source', source, literal as IpFamily)
  return family
}

function isPath(options: net.NetConnectOpts): options is net.IpcNetConnectOpts {
  return Boolean((options as Partial<net.IpcNetConnectOpts>).path)
}

import type { LookupOptions } from 'node:dns'
import * as net from 'node:net'
import { addAbortSignal } from 'node:stream'
import { attachPolicy } from '../close/policy'
import type { TimeWait } from '../close/report'
import { ArgumentValueError, SocketOptionError, checkOptions } from '../errors'
import { checkFamily, checkPort, familyOf, wrongFamily, type IpFamily } from './address'
import { intercept, type Attempt, type Plan } from './attempt'
import { race } from './race'
import { resolveAll, type Address } from './resolve'
import { prepareTuning, type Tuning, type TuningOptions } from './tuning'

/** The options of net.connect(), and what goes beyond them. */
export type ConnectOptions = net.NetConnectOpts & TuningOptions

type LookupCallback = Parameters<net.LookupFunction>[2]

/** RFC 8305 section 5, Connection Attempt Delay; Node has the same. */
const ATTEMPT_DELAY_MS = 250
const LEAST_ATTEMPT_DELAY_MS = 10

/**
 * Connects as net.connect() does, with options that are in force before connect(2), from a source
 * address that may come of a pool, and with a close mode. Returns a net.Socket with Node's own events
 * and errors.
 *
 * The settings are in force on every attempt. A host name with several addresses is tried in the
 * order and with the timing of RFC 8305: the next address when one has failed or has not answered
 * within `autoSelectFamilyAttemptTimeout` (250 ms), side by side, and the first one that answers is
 * taken. `localAddress` reserves no port for other destinations (IP_BIND_ADDRESS_NO_PORT).
 *
 * `path` connects to a unix-domain socket as net.connect() does; only `closeMode` goes with it. On
 * Windows there is only `closeMode` too.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_BAD_PORT;
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY for a source that is not of the destination's family;
 *   ERR_SOCKET_TUNER_UNSUPPORTED. What comes later is emitted as 'error': with EADDRNOTAVAIL and
 *   EADDRINUSE `error.space` says which ports ran out, and the message what would help
 */
export function connect(options: ConnectOptions, connectListener?: () => void): net.Socket {
  const tuning = prepareTuning(options)
  if (isPath(options) && !tuning.onlyClose) {
    throw new ArgumentValueError(
      'options.path',
      'cannot go together with settings, source or portRange',
      options.path,
    )
  }
  return connectTuned(options, tuning, connectListener)
}

/** The same with a tuning that was checked before; on a unix-domain socket only its close mode acts. */
export function connectTuned(
  options: net.NetConnectOpts,
  tuning: Tuning,
  connectListener?: () => void,
): net.Socket {
  checkOptions('options', options)
  if (isPath(options)) return withCloseMode(net.connect(options, connectListener), tuning)
  if (process.platform === 'win32') {
    if (!tuning.onlyClose) throw notOnWindows()
    return withCloseMode(net.connect(options, connectListener), tuning)
  }
  return connectTcp(options, tuning, connectListener)
}

function connectTcp(
  options: net.TcpNetConnectOpts,
  tuning: Tuning,
  connectListener: (() => void) | undefined,
): net.Socket {
  const plan = planOf(options, tuning)
  const family = checkFamilies(options, plan)
  const { autoSelectFamilyAttemptTimeout = ATTEMPT_DELAY_MS, lookup, signal } = options
  // Node takes digits too.
  const port = Number(String(options.port))
  // Node would choose the family, and bind, a second time.
  const rest = { autoSelectFamily: false, localAddress: undefined, localPort: undefined }
  const all = { ...options, ...rest, family, lookup: find, signal: undefined }
  const socket = net.connect(all as net.TcpNetConnectOpts, connectListener)
  const attempt = intercept(socket, plan)
  settleLater(socket, tuning, attempt)
  // Given to net.connect(), one that is aborted already lets the socket connect all the same.
  return signal === undefined ? socket : addAbortSignal(signal, socket)

  function find(hostname: string, asked: LookupOptions, callback: LookupCallback): void {
    resolveAll(hostname, { ...asked, family }, lookup, (result) => {
      if ('error' in result) callback(result.error, '')
      else if ('invalid' in result) callback(null, result.invalid, result.family)
      else choose(result.addresses, callback)
    })
  }

  function choose(addresses: readonly Address[], callback: LookupCallback): void {
    const [first, second] = addresses
    if (second === undefined) {
      callback(null, first?.address ?? '', first?.family)
      return
    }
    if (!socket.connecting) return
    const delayMs = Math.max(LEAST_ATTEMPT_DELAY_MS, autoSelectFamilyAttemptTimeout)
    race(socket, addresses, { port, plan, delayMs }, ({ address, family, fd, lease }) => {
      attempt.connected = fd
      attempt.lease = lease
      callback(null, address, family)
    })
  }
}

/** Puts the socket under its close mode, and tells the pool when it is over and what it left behind. */
function settleLater(socket: net.Socket, tuning: Tuning, attempt: Attempt): void {
  const { pool, policy } = tuning
  if (pool === undefined) {
    withCloseMode(socket, tuning)
    return
  }
  if (policy !== undefined) {
    const closed = ({ timeWait }: { timeWait: TimeWait }): void => {
      attempt.lease?.release(timeWait === 'here' || timeWait === 'unknown')
    }
    attachPolicy({ ...policy, socket, armed: false, closed })
  }
  let connected = false
  let peerFirst = false
  socket.once('connect', () => {
    connected = true
  })
  socket.once('end', () => {
    peerFirst = !socket.writableEnded
  })
  // Without a close mode, and where it was taken back.
  socket.once('close', () => {
    attempt.lease?.release(connected && !peerFirst)
  })
}

function withCloseMode(socket: net.Socket, { policy }: Tuning): net.Socket {
  if (policy !== undefined && policy.mode !== 'fin')
    attachPolicy({ ...policy, socket, armed: false })
  return socket
}

function planOf(options: net.TcpNetConnectOpts, tuning: Tuning): Plan {
  const { localAddress } = options
  const localPort = checkPort('options.localPort', options.localPort)
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
  return { tuning, localAddress: localAddress ?? tuning.localAddress, localPort }
}

/** The family to connect over, 0 for either. */
function checkFamilies(
  options: net.TcpNetConnectOpts,
  { tuning, localAddress }: Plan,
): IpFamily | 0 {
  const asked = checkFamily('options.family', options.family)
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
  return typeof (options as Partial<net.IpcNetConnectOpts>).path === 'string'
}

function notOnWindows(): SocketOptionError {
  return new SocketOptionError(
    'On Windows Node gives no descriptor, so nothing can be set before connect(): only closeMode is there',
    { code: 'ERR_SOCKET_TUNER_UNSUPPORTED', syscall: 'connect' },
  )
}

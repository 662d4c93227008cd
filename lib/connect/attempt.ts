/**
 * Prepares a socket between its lookup and connect(2).
 *
 * Node opens the descriptor only when it calls connect() on the handle of a net.Socket. This file intercepts
 * that call once: it opens the descriptor, sets the options, binds to the source address if there is one, gives
 * the descriptor to the handle, and lets Node's connect() continue. If connect(2) finds no free port, it tries
 * other ports and source addresses.
 */
import type * as net from 'node:net'
import { constants as os } from 'node:os'
import type { Closed } from '../close/modes'
import { native } from '../kernel/binding'
import { SocketTunerError } from '../errors'
import { requireAdoption } from '../node/descriptors'
import { handleOf, type Handle } from '../node/handle'
import {
  answerConnect,
  replaceConnectError,
  tcpHandle,
  type ConnectRequest,
  type HandleCall,
  type TcpHandle,
} from '../node/tcp-handle'
import { holdOnHandle } from '../options/keep-alive'
import type { IpFamily } from './address'
import { bindFailure } from './bind-failure'
import { connectFailure, noSocket, plainFailure } from './connect-failure'
import { NO_PORT_FREE } from './exhaustion'
import { giveTo, openForConnect } from './open'
import { chooseOtherPorts, choosePorts } from './port-choice'
import { announceRelease, tryOrWait, type Ports } from './port-wait'
import type { Lease, Search } from './source-ledger'
import { destinationKey, ledgerOf } from './source-pool'
import type { Tuning } from './tuning'

/** The local end of a connection, and the options set before it is opened. */
export interface Plan {
  readonly tuning: Tuning
  readonly localAddress: string | undefined
  /** 0 for an ephemeral one. */
  readonly localPort: number
  /** Sets TCP_NODELAY, unless the settings do. Node does so for a net.Socket. */
  readonly noDelay?: boolean
  /** Destinations that are refused. */
  readonly blockList?: net.BlockList | undefined
}

/** Where a connection goes. */
export type RemoteEnd = Pick<HandleCall, 'family' | 'address' | 'port'>

/** A connection in progress. */
export interface Attempt {
  /** The lease of a source address from the pool. */
  lease: Lease | undefined
  /** A connected descriptor that connect() uses instead of opening one: the winner of a race. */
  connected: number | undefined
  /** The source address that was bound to. */
  source: string | undefined
  /** The time that it waited for a port before it failed, ms. */
  waitedMs: number | undefined
}

/** Reports to the pool that a connection has ended, and whether this side keeps its TIME_WAIT. */
export function settle({ lease }: Attempt, { timeWait }: Pick<Closed, 'timeWait'>): void {
  lease?.release(timeWait === 'here' || timeWait === 'unknown')
}

/**
 * Intercepts the connect() of a net.Socket over TCP. Its errors name the fix.
 */
export function intercept(socket: net.Socket, plan: Plan): Attempt {
  requireAdoption('connect() cannot be prepared', 'connect')
  const attempt = newAttempt()
  const handle = tcpHandle(handleOf(socket))
  if (handle === undefined) {
    socket.destroy()
    throw noHandle()
  }
  answerConnect(handle, (call) => {
    try {
      const ports = portsOf(plan, call)
      if (ports !== undefined) announceRelease(socket, ports)
      if (attempt.connected !== undefined) return take(handle, call.request, plan, attempt)
      openTo(handle, plan, call)
      const result =
        ports === undefined
          ? tryAll(fdOf(handle), plan, attempt, call)
          : tryOrWait(ports, {
              socket,
              handle,
              request: call.request,
              tryPorts: () => tryAll(fdOf(handle), plan, attempt, call),
              expired: (waitedMs) => (attempt.waitedMs = waitedMs),
            })
      const failure = result < 0 ? failureOf(result, plan, attempt, call) : undefined
      if (failure !== undefined) throw failure
      replaceConnectError(socket, call.request, (status) => {
        attempt.lease?.failed()
        return failureOf(status, plan, attempt, call, true)
      })
      return result
    } catch (error) {
      socket.destroy(error as Error)
      return 0
    }
  })
  return attempt
}

/**
 * As {@link intercept}, for a handle whose net.Socket must see only Node's own errors. If the preparation fails,
 * Node connects with the options set so far. A handle that {@link openBeforeBind} opened keeps its descriptor
 * and the address that Node bound it to.
 *
 * @param report called once connect() was called, with the error if the preparation failed or no port was free
 */
export function prepareHandle(
  handle: Handle,
  plan: Plan,
  report: (failure: Error | undefined) => void,
): Attempt {
  requireAdoption('connect() cannot be prepared', 'connect')
  const attempt = newAttempt()
  const tcp = tcpHandle(handle)
  if (tcp === undefined) throw noHandle()
  answerConnect(tcp, (call) => {
    let result = 0
    let failure: Error | undefined
    try {
      const fd = fdOf(tcp)
      if (fd < 0) openTo(tcp, plan, call)
      result =
        fd < 0 ? tryAll(fdOf(tcp), plan, attempt, call) : connectFrom(fd, plan.tuning, 0, call)
      if (result === NO_PORT_FREE) failure = failureOf(result, plan, attempt, call)
    } catch (error) {
      failure = error as Error
    }
    report(failure)
    return failure === undefined ? result : call.connect()
  })
  return attempt
}

/**
 * Opens the descriptor of a handle that Node is about to bind to the program's own address. All options are set
 * before bind(2), which then does not reserve a port.
 *
 * @throws the errno name if socket(2) fails or the kernel refuses a setting
 */
export function openBeforeBind(handle: Handle, to: RemoteEnd, plan: Plan): void {
  requireAdoption('bind() cannot be prepared', 'connect')
  const tcp = tcpHandle(handle)
  if (tcp === undefined) throw noHandle()
  open(tcp, to, plan, true)
}

/** A connection in progress that no net.Socket owns. */
interface DescriptorAttempt {
  /** The caller owns it. */
  readonly fd: number
  readonly attempt: Attempt
  /** The duration of the connect(2) calls, ms. */
  readonly connectMs: number
}

/**
 * Opens a descriptor and begins to connect it.
 *
 * @throws the errno name if socket(2), bind(2) or connect(2) fails or the kernel refuses a setting
 */
export function dialDescriptor(plan: Plan, to: RemoteEnd): DescriptorAttempt {
  const fd = newDescriptor(to, plan, hasSource(plan))
  const attempt = newAttempt()
  let connectMs = 0
  const connect = (): number => {
    const since = performance.now()
    const result = native.connectFd(fd, to.address, to.port)
    connectMs += performance.now() - since
    return result === -os.errno.EINPROGRESS ? 0 : result
  }
  try {
    const { family, address, port } = to
    const result = tryAll(fd, plan, attempt, { family, address, port, connect })
    if (result < 0) throw descriptorFailure(result, plan, attempt, to)
  } catch (error) {
    native.closeFd(fd)
    throw error
  }
  return { fd, attempt, connectMs }
}

/** Returns the error of a connection that no net.Socket owns. @param answered whether connect(2) had returned */
export function descriptorFailure(
  errno: number,
  plan: Plan,
  attempt: Attempt,
  to: RemoteEnd,
  answered = false,
): SocketTunerError {
  attempt.lease?.failed()
  return failureOf(errno, plan, attempt, to, answered) ?? plainFailure(errno, to)
}

function fdOf({ fd = -1 }: TcpHandle): number {
  return fd
}

function newAttempt(): Attempt {
  return { lease: undefined, connected: undefined, source: undefined, waitedMs: undefined }
}

function noHandle(): SocketTunerError {
  return new SocketTunerError('This release of Node has no TCP handle that can be prepared', {
    code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
    syscall: 'connect',
  })
}

/** Gives the connected descriptor to the handle, and completes the connect() of the net.Socket. */
function take(handle: TcpHandle, request: ConnectRequest, plan: Plan, attempt: Attempt): number {
  const { connected = -1 } = attempt
  attempt.connected = undefined
  giveTo(handle, connected)
  holdOnHandle(handle, plan.tuning.settings.held)
  process.nextTick(() => {
    request.oncomplete(0, handle, request, true, true)
  })
  return 0
}

/** Opens the descriptor for a connect(). */
function openTo(handle: TcpHandle, plan: Plan, to: HandleCall): void {
  const { blockList } = plan
  if (blockList?.check(to.address, to.family === 6 ? 'ipv6' : 'ipv4')) throw blocked(to)
  open(handle, to, plan, hasSource(plan))
}

function hasSource({ tuning, localAddress }: Plan): boolean {
  return (tuning.pool ?? localAddress) !== undefined
}

/**
 * Tries all ports of all sources.
 *
 * @returns 0 if the connect() is in progress, or the negated errno, as Node's own call
 */
function tryAll(
  fd: number,
  plan: Plan,
  attempt: Attempt,
  to: Pick<HandleCall, keyof RemoteEnd | 'connect'>,
): number {
  const { tuning, localPort } = plan
  const { pool } = tuning
  const search =
    pool === undefined ? undefined : ledgerOf(pool).search(destinationKey(to.address, to.port))
  attempt.source = search === undefined ? plan.localAddress : search.next()
  for (;;) {
    const { source } = attempt
    if (source !== undefined || localPort > 0) bindTo(fd, to.family, source, localPort, search)
    const result = connectFrom(fd, tuning, localPort, to)
    if (result !== NO_PORT_FREE) {
      if (result === 0) attempt.lease = search?.taken()
      else search?.failed()
      return result
    }
    attempt.source = otherSource(search)
    if (attempt.source === undefined) return result
  }
}

/** Returns the ports that a connection may wait for; undefined without `portWaitMs`. */
function portsOf(
  { tuning, localAddress }: Plan,
  { family, address, port }: HandleCall,
): Ports | undefined {
  const { portWait } = tuning
  return portWait && { family, address, port, localAddress, wait: portWait }
}

/** Gives the handle a new descriptor, with all options set. */
function open(handle: TcpHandle, to: RemoteEnd, plan: Plan, bindsToAddress: boolean): void {
  giveTo(handle, newDescriptor(to, plan, bindsToAddress))
  holdOnHandle(handle, plan.tuning.settings.held)
}

function newDescriptor(to: RemoteEnd, plan: Plan, bindsToAddress: boolean): number {
  const { settings, mptcp } = plan.tuning
  const fd = openForConnect(to.family, settings, mptcp, (fresh) => {
    prepare(fresh, plan, bindsToAddress)
  })
  if (fd < 0) throw noSocket(fd, to)
  return fd
}

/** Sets this library's own options. The caller's settings come after them and override them. */
function prepare(fd: number, { tuning, localPort, noDelay }: Plan, bindsToAddress: boolean): void {
  const {
    IPPROTO_TCP,
    TCP_NODELAY,
    IPPROTO_IP,
    IP_BIND_ADDRESS_NO_PORT,
    SOL_SOCKET,
    SO_REUSEADDR,
  } = native.constants
  if (noDelay === true && IPPROTO_TCP !== undefined && TCP_NODELAY !== undefined)
    native.setInt(fd, IPPROTO_TCP, TCP_NODELAY, 1)
  if (localPort > 0) {
    // As Node does for a local port.
    if (SOL_SOCKET !== undefined && SO_REUSEADDR !== undefined)
      native.setInt(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    return
  }
  choosePorts(fd, tuning.portChoice)
  if (bindsToAddress && IPPROTO_IP !== undefined && IP_BIND_ADDRESS_NO_PORT !== undefined)
    native.setInt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
}

function bindTo(
  fd: number,
  family: IpFamily,
  source: string | undefined,
  port: number,
  search?: Search,
): void {
  const address = source ?? (family === 6 ? '::' : '0.0.0.0')
  const result = native.bindFd(fd, address, port)
  if (result >= 0) return
  search?.failed()
  const space = result === -os.errno.EADDRINUSE ? 'bind' : undefined
  throw bindFailure(result, address, port, { fd, space })
}

/** Tries all ports that there are from the address that the descriptor is bound to. */
function connectFrom(
  fd: number,
  tuning: Tuning,
  localPort: number,
  to: Pick<HandleCall, 'connect'>,
): number {
  for (let tries = 1; ; tries++) {
    const result = to.connect()
    if (result !== NO_PORT_FREE || localPort > 0) return result
    if (!chooseOtherPorts(fd, tuning.portChoice, tries)) return result
  }
}

/** Equals Node's own ERR_IP_BLOCKED. */
function blocked({ address, port }: HandleCall): SocketTunerError {
  return new SocketTunerError(`IP(${address}) is blocked by net.BlockList`, {
    code: 'ERR_IP_BLOCKED',
    address,
    port,
  })
}

function otherSource(search: Search | undefined): string | undefined {
  search?.full()
  return search?.next()
}

function failureOf(
  errno: number,
  { tuning, localAddress, localPort }: Plan,
  { source, waitedMs }: Attempt,
  { family, address, port }: RemoteEnd,
  answered = false,
): SocketTunerError | undefined {
  const poolSize = tuning.pool?.addresses.length
  const { confined } = tuning
  return connectFailure({
    errno,
    family,
    address,
    port,
    localAddress,
    localPort,
    source,
    poolSize,
    confined,
    answered,
    waitedMs,
  })
}

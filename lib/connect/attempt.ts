/**
 * The moment of connect(2).
 *
 * Node opens no socket before it calls connect() on the handle of a net.Socket that has been looked
 * up and is due. The call is taken over for one time: the descriptor is made here, with all that has
 * to be set before, bound where a source is asked for, and given to the handle, whose own connect()
 * then goes on as ever. A refusal for lack of ports comes back at once and is tried elsewhere.
 */
import type * as net from 'node:net'
import { constants as os } from 'node:os'
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
import { connectFailure, noSocket } from './connect-failure'
import { openForConnect } from './open'
import { chooseOtherPorts, choosePorts } from './port-choice'
import type { Lease, Search } from './source-ledger'
import { destinationKey, ledgerOf } from './source-pool'
import type { Tuning } from './tuning'

/** Where a connection comes from, and what is set before it is made. */
export interface Plan {
  readonly tuning: Tuning
  readonly localAddress: string | undefined
  /** 0 for an ephemeral one. */
  readonly localPort: number
  /** Addresses that are not connected to. */
  readonly blockList?: net.BlockList | undefined
}

/** A connection being made. */
export interface Attempt {
  /** The source address that a pool gave. */
  lease: Lease | undefined
  /** A descriptor that is connected already and that connect() is to take. */
  connected: number | undefined
  /** The source address that was bound to. */
  source: string | undefined
}

const NO_PORT_FREE = -os.errno.EADDRNOTAVAIL

/**
 * Takes over the connect() of a net.Socket that is going to connect over TCP. Its errors name the way
 * out.
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
      if (attempt.connected !== undefined) return take(handle, call.request, plan, attempt)
      const result = begin(handle, plan, attempt, call)
      const failure = result < 0 ? failureOf(result, plan, attempt, call) : undefined
      if (failure !== undefined) throw failure
      replaceConnectError(socket, call.request, (status) =>
        failureOf(status, plan, attempt, call, true),
      )
      return result
    } catch (error) {
      socket.destroy(error as Error)
      return 0
    }
  })
  return attempt
}

/**
 * The same for a handle whose net.Socket is to have Node's own errors only. Where the preparation fails,
 * Node connects by itself, with what is set by then.
 *
 * @param told of how it went, when connect() was called: what failed before connect(2), or for want of a port
 */
export function prepareHandle(
  handle: Handle,
  plan: Plan,
  told: (failure: Error | undefined) => void,
): Attempt {
  requireAdoption('connect() cannot be prepared', 'connect')
  const attempt = newAttempt()
  const tcp = tcpHandle(handle)
  if (tcp === undefined) throw noHandle()
  answerConnect(tcp, (call) => {
    let result = 0
    let failure: Error | undefined
    try {
      result = begin(tcp, plan, attempt, call)
      if (result === NO_PORT_FREE) failure = failureOf(result, plan, attempt, call)
    } catch (error) {
      failure = error as Error
    }
    told(failure)
    return failure === undefined ? result : call.connect()
  })
  return attempt
}

function newAttempt(): Attempt {
  return { lease: undefined, connected: undefined, source: undefined }
}

function noHandle(): SocketTunerError {
  return new SocketTunerError('This release of Node has no TCP handle that can be prepared', {
    code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
    syscall: 'connect',
  })
}

/** Lets the net.Socket go on as when its own connect() was successful. */
function take(handle: TcpHandle, request: ConnectRequest, plan: Plan, attempt: Attempt): number {
  const { connected = -1 } = attempt
  attempt.connected = undefined
  give(handle, connected)
  holdOnHandle(handle, plan.tuning.settings.held)
  process.nextTick(() => {
    request.oncomplete(0, handle, request, true, true)
  })
  return 0
}

/** Makes the handle the owner of a descriptor. */
function give(handle: TcpHandle, fd: number): void {
  const error = handle.open(fd)
  if (error >= 0) return
  native.closeFd(fd)
  throw new SocketTunerError(`fd ${String(fd)} was refused by Node (errno ${String(-error)})`, {
    code: 'ERR_SOCKET_TUNER_NO_DESCRIPTOR',
    errno: error,
  })
}

/** @returns as Node's own call: 0 when it is under way, or the negated errno */
function begin(handle: TcpHandle, plan: Plan, attempt: Attempt, to: HandleCall): number {
  const { tuning, localPort, blockList } = plan
  if (blockList?.check(to.address, to.family === 6 ? 'ipv6' : 'ipv4')) throw blocked(to)
  const { pool } = tuning
  const search =
    pool === undefined ? undefined : ledgerOf(pool).search(destinationKey(to.address, to.port))
  attempt.source = search === undefined ? plan.localAddress : search.next()
  const fd = openForConnect(to.family, tuning.settings, (fresh) => {
    prepare(fresh, plan, attempt.source !== undefined)
  })
  if (fd < 0) throw noSocket(fd, to)
  give(handle, fd)
  holdOnHandle(handle, tuning.settings.held)
  for (;;) {
    const { source } = attempt
    if (source !== undefined || localPort > 0) bindTo(fd, to.family, source, localPort)
    const result = connectFrom(fd, tuning, localPort, to)
    if (result !== NO_PORT_FREE) {
      if (result === 0) attempt.lease = search?.taken()
      return result
    }
    attempt.source = otherSource(search)
    if (attempt.source === undefined) return result
  }
}

/** What goes before the caller's settings, so that they have the last word. */
function prepare(fd: number, { tuning, localPort }: Plan, hasSource: boolean): void {
  const { IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, SOL_SOCKET, SO_REUSEADDR } = native.constants
  if (localPort > 0) {
    // As Node does for a local port.
    if (SOL_SOCKET !== undefined && SO_REUSEADDR !== undefined)
      native.setInt(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    return
  }
  choosePorts(fd, tuning.portChoice)
  if (hasSource && IPPROTO_IP !== undefined && IP_BIND_ADDRESS_NO_PORT !== undefined)
    native.setInt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
}

function bindTo(fd: number, family: IpFamily, source: string | undefined, port: number): void {
  const address = source ?? (family === 6 ? '::' : '0.0.0.0')
  const result = native.bindFd(fd, address, port)
  if (result >= 0) return
  const space = result === -os.errno.EADDRINUSE ? 'bind' : undefined
  throw bindFailure(result, address, port, { fd, space })
}

/** Tries all ports that there are from the address that the descriptor is bound to. */
function connectFrom(fd: number, tuning: Tuning, localPort: number, to: HandleCall): number {
  for (let tries = 1; ; tries++) {
    const result = to.connect()
    if (result !== NO_PORT_FREE || localPort > 0) return result
    if (!chooseOtherPorts(fd, tuning.portChoice, tries)) return result
  }
}

/** As Node's own. */
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
  { source }: Attempt,
  { family, address, port }: HandleCall,
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
  })
}

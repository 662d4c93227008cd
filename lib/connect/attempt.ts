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
import { native } from '../binding'
import { SocketOptionError } from '../errors'
import { holdOnHandle } from '../options/keep-alive'
import { handleOf } from '../target'
import { requireAdoption } from '../node/descriptors'
import { bindFailure, endpoint, type IpFamily } from './address'
import { connectRefusal } from './exhaustion'
import { openForConnect } from './open'
import { chooseOtherPorts, choosePorts } from './port-choice'
import type { Lease, Search } from './source-ledger'
import { ledgerOf } from './source-pool'
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
}

interface Request {
  readonly oncomplete: (
    status: number,
    handle: TcpHandle,
    request: Request,
    readable: boolean,
    writable: boolean,
  ) => void
}

type Connect = (
  request: Request,
  address: string,
  port: number,
  ...rest: readonly unknown[]
) => number

/** The parts of Node's TCP handle that are used. */
interface TcpHandle {
  connect: Connect
  connect6: Connect
  open(fd: number): number
}

const NO_PORT_FREE = -os.errno.EADDRNOTAVAIL

/** Takes over the connect() of a net.Socket that is going to connect over TCP. */
export function intercept(socket: net.Socket, plan: Plan): Attempt {
  requireAdoption('connect() cannot be prepared', 'connect')
  const attempt: Attempt = { lease: undefined, connected: undefined }
  const handle = handleOf(socket) as TcpHandle | undefined
  if (typeof handle?.connect !== 'function' || typeof handle.open !== 'function') {
    socket.destroy()
    throw new SocketOptionError('This release of Node has no TCP handle that can be prepared', {
      code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
      syscall: 'connect',
    })
  }
  const { connect, connect6 } = handle
  const takeOver = (family: IpFamily, own: Connect): Connect => {
    return (request, address, port, ...rest) => {
      // From now on the handle has its own methods again. To delete these would make each access to the
      // handle a search in a hash table, 1 % of what a busy client can do.
      handle.connect = connect
      handle.connect6 = connect6
      try {
        if (attempt.connected !== undefined) return take(handle, request, plan, attempt)
        const proceed = (): number => own.call(handle, request, address, port, ...rest)
        return begin(handle, plan, attempt, { family, address, port, connect: proceed })
      } catch (error) {
        socket.destroy(error as Error)
        return 0
      }
    }
  }
  handle.connect = takeOver(4, connect)
  handle.connect6 = takeOver(6, connect6)
  return attempt
}

/** Lets the net.Socket go on as when its own connect() was successful. */
function take(handle: TcpHandle, request: Request, plan: Plan, attempt: Attempt): number {
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
  throw new SocketOptionError(`fd ${String(fd)} was refused by Node (errno ${String(-error)})`, {
    code: 'ERR_SOCKET_TUNER_NO_DESCRIPTOR',
    errno: error,
  })
}

interface Destination {
  readonly family: IpFamily
  readonly address: string
  readonly port: number
  /** Node's own call: 0 when it is under way, or the errno. */
  readonly connect: () => number
}

function begin(handle: TcpHandle, plan: Plan, attempt: Attempt, to: Destination): number {
  const { tuning, localPort, blockList } = plan
  if (blockList?.check(to.address, to.family === 6 ? 'ipv6' : 'ipv4')) throw blocked(to)
  const { pool } = tuning
  const search =
    pool === undefined ? undefined : ledgerOf(pool).search(endpoint(to.address, to.port))
  let source = search === undefined ? plan.localAddress : search.next()
  const fd = openForConnect(to.family, tuning.settings, (fresh) => {
    prepare(fresh, plan, source !== undefined)
  })
  give(handle, fd)
  holdOnHandle(handle, tuning.settings.held)
  for (;;) {
    if (source !== undefined || localPort > 0) bindTo(fd, to.family, source, localPort)
    const result = connectFrom(fd, tuning, localPort, to)
    if (result !== NO_PORT_FREE) {
      if (result === 0) attempt.lease = search?.taken()
      return result
    }
    source = otherSource(search)
    if (source === undefined) throw refusal(plan, to)
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
function connectFrom(fd: number, tuning: Tuning, localPort: number, to: Destination): number {
  for (let tries = 1; ; tries++) {
    const result = to.connect()
    if (result !== NO_PORT_FREE || localPort > 0) return result
    if (!chooseOtherPorts(fd, tuning.portChoice, tries)) return result
  }
}

/** As Node's own. */
function blocked({ address, port }: Destination): SocketOptionError {
  return new SocketOptionError(`IP(${address}) is blocked by net.BlockList`, {
    code: 'ERR_IP_BLOCKED',
    address,
    port,
  })
}

function otherSource(search: Search | undefined): string | undefined {
  search?.full()
  return search?.next()
}

function refusal({ tuning, localAddress, localPort }: Plan, to: Destination): SocketOptionError {
  return connectRefusal({
    errno: NO_PORT_FREE,
    family: to.family,
    address: to.address,
    port: to.port,
    localAddress,
    localPort,
    poolSize: tuning.pool?.addresses.length,
    confined: tuning.confined,
  })
}

/** Tunes connections that the program opens itself, for `register`. */
import type * as net from 'node:net'
import { attachPolicy, detachPolicy, observeClose, policyOf } from '../close/hooks'
import { ClosePolicy } from '../close/mode'
import { carrierOf, type Handle } from '../node/handle'
import {
  openBeforeBind,
  prepareHandle,
  settle,
  type Attempt,
  type Plan,
  type RemoteEnd,
} from './attempt'
import { countCloses, tuningOf, type Connector } from './connector'

/** The policies that {@link adopt} attached, by the socket that carries the connection. */
const adopted = new WeakMap<net.Socket, ClosePolicy>()

/**
 * Sets a connector's close mode on a connection and counts its close. A mode that the program set itself stays.
 * If TLS was added to the connection since the last call, the mode moves to the TLS socket, which is what the
 * program closes.
 */
export function adopt(connector: Connector, socket: net.Socket): void {
  const { policy } = tuningOf(connector)
  if (policy === undefined) return
  countCloses(connector, socket)
  const carrier = carrierOf(socket)
  const standing = policyOf(socket)
  if (standing !== adopted.get(carrier) || standing?.socket === socket) return
  const own = standing?.over(socket) ?? new ClosePolicy(socket, policy)
  attachPolicy(own)
  adopted.set(carrier, own)
}

/** Removes the close mode that {@link adopt} set. A mode that the program set itself stays. */
export function release(socket: net.Socket): void {
  const carrier = carrierOf(socket)
  const policy = adopted.get(carrier)
  adopted.delete(carrier)
  if (policy !== undefined && policyOf(socket) === policy) detachPolicy(socket)
}

/** The most recent attempt of a socket to connect. */
interface Recent {
  attempt: Attempt | undefined
}

const recents = new WeakMap<net.Socket, Recent>()

/** The local address that the program chose for a connection. */
export interface OwnBind {
  readonly localAddress: string
}

/**
 * Prepares the connect() that Node is about to call on the handle of a socket.
 *
 * @param report called after connect(2), with the error if the preparation failed or no port was free
 * @param own given if {@link prepareBind} was called before
 */
export function prepareConnect(
  connector: Connector,
  socket: net.Socket,
  handle: Handle,
  report: (failure: Error | undefined) => void,
  own?: OwnBind,
): void {
  giveUpAttempt(socket)
  const plan = foreignPlan(connector, own)
  const attempt = prepareHandle(handle, plan, report)
  if (plan.tuning.pool !== undefined) recentOf(socket).attempt = attempt
}

/** Opens the descriptor that Node is about to bind to the program's own address. @throws as openBeforeBind() */
export function prepareBind(
  connector: Connector,
  handle: Handle,
  to: RemoteEnd,
  own: OwnBind,
): void {
  openBeforeBind(handle, to, foreignPlan(connector, own))
}

/** Releases the lease of an attempt that failed. */
export function giveUpAttempt(socket: net.Socket): void {
  const recent = recents.get(socket)
  recent?.attempt?.lease?.release(false)
  if (recent !== undefined) recent.attempt = undefined
}

function foreignPlan(connector: Connector, own: OwnBind | undefined): Plan {
  const tuning = tuningOf(connector)
  if (own === undefined) return { tuning, localAddress: tuning.localAddress, localPort: 0 }
  return { tuning: { ...tuning, pool: undefined }, localAddress: own.localAddress, localPort: 0 }
}

function recentOf(socket: net.Socket): Recent {
  const known = recents.get(socket)
  if (known !== undefined) return known
  const recent: Recent = { attempt: undefined }
  recents.set(socket, recent)
  observeClose(socket, (outcome) => {
    if (recent.attempt !== undefined) settle(recent.attempt, outcome)
    recent.attempt = undefined
  })
  return recent
}

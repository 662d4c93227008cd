/**
 * Keepalive options that outlast Node. Its setKeepAlive(true, delay), which http agents, undici and the
 * `keepAlive` option of servers and sockets come to, sets TCP_KEEPIDLE to the delay, TCP_KEEPINTVL to
 * 1 s and TCP_KEEPCNT to 10, or from Node 24.19 and 26.4 on to the interval and count that it is given.
 * What was set by name is set again after each such call.
 */
import { native } from '../kernel/binding'
import { transportHandleOf } from '../node/handle'
import { afterSetKeepAlive } from '../node/keep-alive'
import type { Operation } from './batch'

/** What is to be set again. */
export type Held = Pick<Operation, 'option' | 'encoded'>

const kHeld = Symbol('socket-tuner keepalive')

interface Keeper {
  [kHeld]?: Map<string, Held>
}

/** Keeps options of a socket in force; a target that is no socket of Node's has nothing that would rewrite them. */
export function holdKeepAlive(target: unknown, held: readonly Held[]): void {
  if (held.length === 0 || typeof target !== 'object' || target === null) return
  const handle = transportHandleOf(target)
  if (handle !== undefined) holdOnHandle(handle, held)
}

/** The same for a handle. */
export function holdOnHandle(handle: object, held: readonly Held[]): void {
  if (held.length === 0) return
  const keeper = handle as Keeper
  const all = keeper[kHeld] ?? new Map<string, Held>()
  // A server's handle has no such method: its connections are rewritten one by one.
  if (keeper[kHeld] === undefined && !afterSetKeepAlive(handle, all, setAll)) return
  keeper[kHeld] = all
  for (const one of held) all.set(one.option.name, one)
}

function setAll(fd: number, held: ReadonlyMap<string, Held>): void {
  for (const { option, encoded } of held.values()) set(fd, option, encoded)
}

function set(fd: number, { level, number }: Held['option'], encoded: Held['encoded']): void {
  if (typeof encoded === 'number') native.setInt(fd, level, number, encoded)
}

/**
 * Keeps keepalive options in force after Node's setKeepAlive(true, delay), which http agents, undici and
 * the `keepAlive` option of servers and sockets call. It sets TCP_KEEPIDLE to the delay, TCP_KEEPINTVL to
 * 1 s and TCP_KEEPCNT to 10; Node 24.19, 26.4 and later also accept an interval and a count. After each
 * such call, this file sets the options again that were set by name.
 */
import { native } from '../kernel/binding'
import { transportHandleOf } from '../node/handle'
import { afterSetKeepAlive } from '../node/keep-alive'
import type { Operation } from './batch'

/** An option to set again. */
export type Held = Pick<Operation, 'option' | 'encoded'>

const kHeld = Symbol('socket-tuner keepalive')

interface Keeper {
  [kHeld]?: Map<string, Held>
}

/** Keeps options of a socket in force. Nothing overwrites those of a target that is not an object of Node. */
export function holdKeepAlive(target: unknown, held: readonly Held[]): void {
  if (held.length === 0 || typeof target !== 'object' || target === null) return
  const handle = transportHandleOf(target)
  if (handle !== undefined) holdOnHandle(handle, held)
}

/** As {@link holdKeepAlive}, for a handle. */
export function holdOnHandle(handle: object, held: readonly Held[]): void {
  if (held.length === 0) return
  const keeper = handle as Keeper
  const all = keeper[kHeld] ?? new Map<string, Held>()
  // The handle of a server has no setKeepAlive(); Node calls it on each connection.
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

/** The close modes. */
import { oneOf } from '../spec'
import type { CloseMode, CloseOutcome } from './mode'
import { deliver } from './modes/deliver'
import { fin } from './modes/fin'
import { lingering } from './modes/lingering'
import { reset } from './modes/reset'

/** All of them. */
export const closeModes = { fin, deliver, lingering, reset } as const satisfies Readonly<
  Record<string, CloseMode>
>

/**
 * How a connection is closed.
 *
 * - `fin`: a FIN after everything written; TIME_WAIT here when this side closes first. Always right.
 * - `deliver`: the same on the wire, and the kernel forgets the connection when the FIN is
 *   acknowledged: no byte lost, no TIME_WAIT. Linux.
 * - `lingering`: FIN, then input is thrown away until the peer has finished: for an early answer to
 *   a peer that is still sending.
 * - `reset`: a RST; what the peer has not acknowledged is discarded, and counted.
 */
export type CloseModeName = keyof typeof closeModes

/** In the order in which lists have them. */
export const closeModeNames: readonly CloseModeName[] = Object.freeze(
  Object.keys(closeModes) as CloseModeName[],
)

/** One of them, for a table of options. */
export const closeModeName = oneOf(...closeModeNames)

/** What sets a close mode apart. */
export interface CloseModeInfo {
  readonly name: CloseModeName
  /** In a few words. */
  readonly summary: string
  /** TIME_WAIT stays here when this side closes first. */
  readonly keepsTimeWait: boolean
  /** Each close holds a descriptor while it waits for the peer. */
  readonly holdsDescriptor: boolean
}

/** What sets a close mode apart. @throws ERR_INVALID_ARG_VALUE */
export function describeCloseMode(name: CloseModeName): CloseModeInfo {
  const checked = closeModeName.required().check('name', name)
  const { summary, keepsTimeWait, holdsDescriptor } = closeModes[checked]
  return { name: checked, summary, keepsTimeWait, holdsDescriptor }
}

/** A close that has come to its end. */
export type Closed = CloseOutcome & { readonly mode: CloseModeName }

/** Called when a close is complete; for a lingering close that is later than 'close'. */
export type Observer = (closed: Closed) => void

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
 * - `fin`: a FIN after everything that was written. Leaves TIME_WAIT here if this side closes first. Always safe.
 * - `deliver`: the same on the wire, but the kernel drops the connection when the FIN is acknowledged. No byte is lost,
 *   and no TIME_WAIT is left. Linux.
 * - `lingering`: a FIN, then input is discarded until the peer has finished. For an early answer to a peer that is
 *   still sending.
 * - `reset`: a RST. Data that the peer has not acknowledged is discarded and counted.
 */
export type CloseModeName = keyof typeof closeModes

/** In the order of the lists in the documentation. */
export const closeModeNames: readonly CloseModeName[] = Object.freeze(
  Object.keys(closeModes) as CloseModeName[],
)

/** The name of a mode, for a table of options. */
export const closeModeName = oneOf(...closeModeNames)

/** The properties of a close mode. */
export interface CloseModeInfo {
  readonly name: CloseModeName
  /** A short description. */
  readonly summary: string
  /** TIME_WAIT stays here when this side closes first. */
  readonly keepsTimeWait: boolean
  /** Each close holds a descriptor while it waits for the peer. */
  readonly holdsDescriptor: boolean
}

/** Returns the properties of a close mode. @throws ERR_INVALID_ARG_VALUE */
export function describeCloseMode(name: CloseModeName): CloseModeInfo {
  const checked = closeModeName.required().check('name', name)
  const { summary, keepsTimeWait, holdsDescriptor } = closeModes[checked]
  return { name: checked, summary, keepsTimeWait, holdsDescriptor }
}

/** The outcome of a close in a mode of the table. */
export type Closed = CloseOutcome & { readonly mode: CloseModeName }

/** Called when a close is complete, which is after 'close' if the close lingers. */
export type Observer = (closed: Closed) => void

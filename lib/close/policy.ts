/** What destroy(), destroySoon() and closeSocket() do to one socket. */
import type * as net from 'node:net'
import type { Fallback } from './fallback'
import type { LingeringGroup } from './lingering-group'
import type { PolicyOptions } from './options'
import type { CloseOutcome } from './report'
import type { FinOrder } from './time-wait'

export interface ClosePolicy extends PolicyOptions {
  /** The socket that the program writes to: the TLS one where there is one. */
  socket: net.Socket
  /** TCP_LINGER2 is in force already: the listening socket handed it down. */
  armed: boolean
  /** The close has waited already for the peer to acknowledge everything but close_notify. */
  held?: boolean
  /** Connections that share a limit on how many linger; without one, all of this thread that have none. */
  lingering?: LingeringGroup | undefined
  /** Set while a program waits for this close. */
  awaited?: {
    /** The standing policy that it stands in for. */
    readonly standing: ClosePolicy | undefined
    readonly since: number
    /** Called when the descriptor is about to be closed: an outcome will follow. */
    readonly begun: () => void
  }
  /** Why the program that waits for this close cut it short, or changed its mode. */
  cause?: Fallback | undefined
  /** Makes a reset of a connection that was taken over from its net.Socket. */
  abort?: (() => void) | undefined
}

/** A connection right before close(2), which is about to be closed under a policy. */
export interface Ending {
  readonly policy: ClosePolicy
  readonly fd: number
  /** Whose FIN was first; undefined while this side has sent none. */
  readonly finOrder: FinOrder | undefined
}

/** Called when a close is complete; for a lingering close that is later than 'close'. */
export type Done = (outcome: CloseOutcome) => void

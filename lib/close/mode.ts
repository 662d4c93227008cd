/** What a close mode is. Each is a file of modes/ and a line of modes.ts; no other file tells them apart. */
import type * as net from 'node:net'
import type { Fallback } from './fallback'
import type { CloseLimits } from './limits'
import type { LingeringGroup } from './lingering-group'
import type { FinOrder, TimeWait } from './time-wait'

export interface CloseMode {
  /** As callers write it. */
  readonly name: string
  /** In a few words, for lists. */
  readonly summary: string
  /** Nothing is waited for, not even what has been written. */
  readonly atOnce: boolean
  /**
   * No shutdown() may go before close(2), which sends the FIN or the RST itself. On TLS, `'notify'`: the
   * close sees to close_notify and to what the peer may still send, which Node's own end would.
   */
  readonly withoutShutdown: boolean | 'notify'
  /** The listening socket hands TCP_LINGER2 down to the connections that it accepts. */
  readonly inherited: boolean
  /** TIME_WAIT stays here when this side closes first. */
  readonly keepsTimeWait: boolean
  /** It holds a descriptor while it waits for the peer. */
  readonly holdsDescriptor: boolean
  /** What a bare descriptor is set to, so that whoever closes it closes so; undefined where that is not enough. */
  readonly onDescriptor: { readonly resets: boolean; readonly forgets: boolean } | undefined
  /** Makes the last system calls before close(2) of a connected socket. */
  readonly close: (ending: Ending, done: Done) => void
  /** Tells of the hazards of closing now, before anything is changed. */
  readonly warn?: (socket: net.Socket, fd: number, limits: CloseLimits) => void
}

/** What destroy(), destroySoon() and closeSocket() do to one socket. */
export interface ClosePolicy extends CloseLimits {
  mode: CloseMode
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
  /** Ends a connection that was taken over from its net.Socket. */
  cut?: ((cause: Fallback) => void) | undefined
  /** Makes a reset of it. */
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

/** What is known at the moment of close(2). */
export interface CloseOutcome {
  /** The name of the mode that was used. */
  readonly mode: string
  readonly fallback?: Fallback
  readonly discardedBytes: number
  readonly unreadBytes: number
  readonly timeWait: TimeWait
  readonly inFlightBytes?: number
  /** The connection had ended before the close, which therefore discarded nothing itself. */
  readonly wasOver?: boolean
  /** No mode was set: Node closed the connection in its own way, and it is not counted. */
  readonly byNode?: boolean
}

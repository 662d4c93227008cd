/** The interface of a close mode. Each is a file of modes/ and a line of modes.ts; no other file distinguishes them. */
import type * as net from 'node:net'
import type { StreamLike } from '../node/descriptor-stream'
import type { Fallback } from './fallback'
import type { CloseLimits } from './close-limits'
import type { LingeringGroup } from './lingering-group'
import type { FinOrder, TimeWait } from './time-wait'

export interface CloseMode {
  /** The name that callers use. */
  readonly name: string
  /** A short description, for lists. */
  readonly summary: string
  /** Closes at once, without waiting even for written data. */
  readonly atOnce: boolean
  /**
   * No shutdown() may precede close(2), which sends the FIN or the RST itself. On TLS, `'notify'` also makes the close
   * send close_notify and handle what the peer may still send, as Node's own end() does.
   */
  readonly withoutShutdown: boolean | 'notify'
  /**
   * An http server holds back the last write of a response that closes the connection, so that it leaves together
   * with the FIN. Otherwise, a client that closes when it has the response would close at the same moment, which leaves
   * TIME_WAIT on both sides.
   */
  readonly holdsLastWrite: boolean
  /** Accepted connections inherit TCP_LINGER2 from the listening socket. */
  readonly inherited: boolean
  /** TIME_WAIT stays here when this side closes first. */
  readonly keepsTimeWait: boolean
  /** Each close holds a descriptor while it waits for the peer. */
  readonly holdsDescriptor: boolean
  /** The options that give a bare descriptor the mode, whoever closes it; undefined if options are not enough. */
  readonly onDescriptor: { readonly resets: boolean; readonly forgets: boolean } | undefined
  /** Makes the last system calls before close(2) of a connected socket. */
  readonly close: (ending: Ending, done: Done) => void
  /** Reports the hazards of closing now, before anything is changed. */
  readonly warn?: (socket: net.Socket, fd: number, limits: CloseLimits) => void
}

/** A mode, and the modes for particular reasons. */
export interface CloseChoice {
  readonly mode: CloseMode
  /** For a connection that timed out. */
  readonly onTimeout: CloseMode | undefined
  /** For a socket that is destroyed with an error. */
  readonly onError: CloseMode | undefined
}

/** The part of a policy that the caller sets, after validation. Sockets with the same close share one. */
export type PolicyOptions = CloseLimits & CloseChoice

/** A close that a program waits for. */
export interface Awaited {
  /** The standing policy that it replaces. */
  readonly standing: ClosePolicy | undefined
  readonly since: number
  /** Called when the descriptor is about to be closed, and an outcome will follow. */
  readonly begun: () => void
}

/** How one connection is closed. */
export interface ClosingPolicy {
  readonly socket: StreamLike
  readonly options: PolicyOptions
  /** TCP_LINGER2 is already set, because the socket inherited it from the listening socket. */
  armed: boolean
  /** The connections that share a limit on lingering. Default: all those of this thread without a group of their own. */
  readonly lingering: LingeringGroup | undefined
  /** Set while a program waits for this close. */
  readonly awaited: Awaited | undefined
  /** The close has already waited until the peer acknowledged everything but close_notify. */
  readonly held: boolean
  /** Why the program that waits for this close cut it short, or changed its mode. */
  cause: Fallback | undefined
  /** Ends a connection that was taken over from its net.Socket. */
  cut: ((cause: Fallback) => void) | undefined
  /** Resets it. */
  abort: (() => void) | undefined
}

/** How destroy(), destroySoon() and closeSocket() close one socket. */
export class ClosePolicy implements ClosingPolicy {
  /** The socket that the program writes to: the TLS socket if there is one. */
  readonly socket: net.Socket
  options: PolicyOptions
  armed: boolean
  readonly lingering: LingeringGroup | undefined
  readonly awaited: Awaited | undefined
  held = false
  cause: Fallback | undefined = undefined
  cut: ((cause: Fallback) => void) | undefined = undefined
  abort: (() => void) | undefined = undefined

  constructor(
    socket: net.Socket,
    options: PolicyOptions,
    armed = false,
    lingering?: LingeringGroup,
    awaited?: Awaited,
  ) {
    this.socket = socket
    this.options = options
    this.armed = armed
    this.lingering = lingering
    this.awaited = awaited
  }

  /** The same policy for another socket of the connection: the TLS socket over it. */
  over(socket: net.Socket): ClosePolicy {
    return new ClosePolicy(socket, this.options, this.armed, this.lingering)
  }
}

/** A connection under a policy, right before close(2). */
export interface Ending {
  readonly policy: ClosingPolicy
  readonly fd: number
  /** Whose FIN was first; undefined while this side has sent none, as far as this library has seen. */
  readonly finOrder: FinOrder | undefined
  /** Whether the peer has ended the stream that the program reads. */
  readonly streamEnded: boolean
}

/** Called when a close is complete, which is after 'close' if the close lingers. */
export type Done = (outcome: CloseOutcome) => void

/** The result of a close, as far as it is known at the moment of close(2). */
export interface CloseOutcome {
  /** The name of the mode that was used. */
  readonly mode: string
  readonly fallback?: Fallback
  readonly discardedBytes: number
  readonly unreadBytes: number
  readonly timeWait: TimeWait
  readonly inFlightBytes?: number
  /** The connection had already ended, so this close discarded nothing. */
  readonly wasOver?: boolean
  /** No mode was set. Node closed the connection in its own way, and the close is not counted. */
  readonly byNode?: boolean
}

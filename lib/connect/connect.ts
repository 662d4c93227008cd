import type * as net from 'node:net'
import { netConnectNames } from '../node/option-names'
import { sharedSpec } from '../spec'
import { abortBy, dial, withCloseMode } from './dial'
import { newSocket } from './dialer'
import { prepareTuning, tuningOptions, type Tuning, type TuningOptions } from './tuning'

/** The options of net.connect() and those of this library. */
export type ConnectOptions = net.NetConnectOpts & TuningOptions

export const connectOptions = sharedSpec(tuningOptions.fields, netConnectNames)

/**
 * Connects like net.connect(), with socket options that are set before connect(2), a source address that
 * may come from a pool, and a close mode. Returns a net.Socket with Node's own events and errors.
 *
 * The settings are in force on every attempt. The addresses of a host name are tried as in RFC 8305 (Happy
 * Eyeballs): the attempt for the next address starts once one has failed, or has not succeeded within
 * `autoSelectFamilyAttemptTimeout` (default: Node's, 250 or 500 ms), and the first connection wins. With
 * `autoSelectFamily: false` only the first address is tried. `localAddress` does not block its port for other
 * destinations (IP_BIND_ADDRESS_NO_PORT). If no port is free, the connection waits for one for `portWaitMs`.
 *
 * `path` connects to a unix-domain socket, including abstract ones. There, `settings` may contain only options
 * that have an effect on such sockets, and `source`, `portRange`, `portWaitMs` and `mptcp` are refused. Windows,
 * Deno and Bun support only `close`.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_BAD_PORT;
 *   ERR_SOCKET_TUNER_UNKNOWN_OPTION for a misspelled option;
 *   ERR_SOCKET_TUNER_ADDRESS_FAMILY for a source of another family than the destination;
 *   ERR_SOCKET_TUNER_WRONG_SOCKET for a setting without effect on a unix-domain socket;
 *   ERR_SOCKET_TUNER_UNSUPPORTED. Later failures are emitted as 'error', with the cause and the fix in the
 *   message; for EADDRNOTAVAIL and EADDRINUSE, `error.space` names the ports that ran out
 */
export function connect(options: ConnectOptions, connectListener?: () => void): net.Socket {
  const tuning = prepareTuning(connectOptions.check('options', options))
  return connectTuned(options, tuning, connectListener)
}

/** As {@link connect}, with a prepared tuning. */
export function connectTuned(
  options: net.NetConnectOpts,
  tuning: Tuning,
  connectListener?: () => void,
): net.Socket {
  const socket = dial(options, tuning, newSocket, connectListener)
  return abortBy(options.signal, withCloseMode(socket, tuning))
}

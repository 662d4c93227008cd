/** The options of this library in connect() and the adapters, checked and prepared once. */
import type { PolicyOptions } from '../close/mode'
import { close } from '../close/close-options'
import { ArgumentRangeError, ArgumentValueError } from '../errors'
import { systemPortRange, type PortRange } from '../kernel/proc'
import { optionOf, type Settings } from '../options/option'
import {
  prepareSettings,
  requirePresent,
  settingsOption,
  type PreparedSettings,
} from '../options/tune'
import { MAX_INT32, boolean, custom, spec, whole, type InputOf, type OutputOf } from '../spec'
import { familyOf, type IpFamily } from './address'
import { portChoiceHere, type PortChoice } from './port-choice'
import type { PortWait } from './port-wait'
import { source } from './source'
import { SourcePool } from './source-pool'

const portRange = custom<PortRange | 'kernel'>("{ min, max }, or 'kernel'", (argument, value) => {
  if (value === 'kernel') return value
  // The codec of the option checks both bounds and their order.
  const { codec, row } = optionOf('IP_LOCAL_PORT_RANGE')
  codec.encode(argument, row, value)
  return value as PortRange
})

/** How to open and close connections. */
export const tuningOptions = spec({
  /**
   * Socket options to set before connect(2), on every attempt. An option that this platform or kernel lacks is an
   * error.
   */
  settings: settingsOption.default({}),
  /**
   * The source of the connections: an address of this host, several addresses of one family, or a pool. Calls with
   * the same array of addresses in one thread share a pool.
   */
  source,
  /**
   * The ephemeral ports to choose from, inside net.ipv4.ip_local_port_range (Linux 6.3+). Default: all of them,
   * searched in a way that stays fast when half of them are in use (Linux 6.8+; almost as fast since 6.3).
   * `'kernel'` leaves the search to the kernel.
   */
  portRange,
  /**
   * The time that a connection without a free port waits for one, ms, first come, first served. Then it fails with
   * EADDRNOTAVAIL. Default 0: it fails at once.
   */
  portWaitMs: whole(0, MAX_INT32).default(0),
  /**
   * Uses Multipath TCP (RFC 8684), Linux 5.6+ with net.mptcp.enabled. Without it the connection uses TCP, with the
   * warning SOCKET_TUNER_MPTCP_UNAVAILABLE; with a peer that has no MPTCP, TCP_IS_MPTCP becomes false. Default false.
   */
  mptcp: boolean().default(false),
  /** The close mode of destroy() and destroySoon(): see `setCloseMode`. Default: Node's own close. */
  close,
})

/** How to open and close connections. */
export type TuningOptions = InputOf<typeof tuningOptions>

/** The checked options. */
export type CheckedTuning = OutputOf<typeof tuningOptions>

/** The options prepared for any number of connections. */
export interface Tuning {
  readonly settings: PreparedSettings
  readonly portChoice: PortChoice
  readonly pool: SourcePool | undefined
  readonly localAddress: string | undefined
  /** The family of the source, which destinations must have too; 0 without a source. */
  readonly family: IpFamily | 0
  /** The caller narrowed the port range. */
  readonly confined: boolean
  readonly policy: PolicyOptions | undefined
  readonly portWait: PortWait | undefined
  /** The first option that a unix-domain socket cannot have, if there is one. */
  readonly tcpOnly: 'source' | 'portRange' | 'portWaitMs' | 'mptcp' | undefined
  readonly mptcp: boolean
  /** It has no option except `close`, which every platform supports. */
  readonly onlyClose: boolean
}

/**
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNSUPPORTED
 *   for an option that this platform does not have
 */
export function prepareTuning(checked: CheckedTuning): Tuning {
  const { settings, source, portRange, portWaitMs } = checked
  const range = confinedRange(portRange, settings)
  const prepared = prepareSettings(
    range === undefined ? settings : { IP_LOCAL_PORT_RANGE: range, ...settings },
  )
  requirePresent(prepared.missing)
  const pool = source instanceof SourcePool ? source : undefined
  const localAddress = source instanceof SourcePool ? undefined : source
  const chosen = portRange !== undefined || settings.IP_LOCAL_PORT_RANGE !== undefined
  return {
    settings: prepared,
    confined: range !== undefined || settings.IP_LOCAL_PORT_RANGE !== undefined,
    portChoice: chosen ? 'kernel' : portChoiceHere(),
    pool,
    localAddress,
    family: pool?.family ?? (localAddress === undefined ? 0 : familyOf('source', localAddress)),
    policy: checked.close,
    portWait: portWaitMs === 0 ? undefined : portWaitOf(portWaitMs, checked, range),
    tcpOnly: tcpOnlyOf(checked),
    mptcp: checked.mptcp,
    onlyClose: prepared.operations.length === 0 && tcpOnlyOf(checked) === undefined,
  }
}

function tcpOnlyOf({ source, portRange, portWaitMs, mptcp }: CheckedTuning): Tuning['tcpOnly'] {
  if (source !== undefined) return 'source'
  if (portRange !== undefined) return 'portRange'
  if (portWaitMs > 0) return 'portWaitMs'
  return mptcp ? 'mptcp' : undefined
}

function portWaitOf(
  ms: number,
  { source, settings }: CheckedTuning,
  range: PortRange | undefined,
): PortWait {
  const from = source instanceof SourcePool ? source.addresses : source
  const space = JSON.stringify([from, range ?? settings.IP_LOCAL_PORT_RANGE])
  return { ms, space }
}

/**
 * Returns the port range to set.
 *
 * @param argument the name of the option in messages
 * @throws ERR_INVALID_ARG_VALUE together with settings.IP_LOCAL_PORT_RANGE; ERR_OUT_OF_RANGE outside
 *   net.ipv4.ip_local_port_range
 */
export function confinedRange(
  portRange: PortRange | 'kernel' | undefined,
  settings: Settings,
  argument = 'options.portRange',
): PortRange | undefined {
  if (portRange === undefined || portRange === 'kernel') return undefined
  if (settings.IP_LOCAL_PORT_RANGE !== undefined) {
    throw new ArgumentValueError(
      argument,
      'cannot be given together with settings.IP_LOCAL_PORT_RANGE',
      portRange,
    )
  }
  const all = systemPortRange()
  if (all !== undefined && (portRange.min < all.min || portRange.max > all.max)) {
    // The kernel ignores a bound outside its own range.
    const inside = `inside net.ipv4.ip_local_port_range (${String(all.min)} to ${String(all.max)})`
    throw new ArgumentRangeError(argument, inside, portRange)
  }
  return portRange
}

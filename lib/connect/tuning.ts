/** What connect() and the adapters may be told beside net.connect's own options, checked once. */
import { close, type PolicyOptions } from '../close/options'
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../errors'
import { systemPortRange } from '../kernel/proc'
import { optionOf, type Settings } from '../options/option'
import {
  prepareSettings,
  requirePresent,
  settingsOption,
  type PreparedSettings,
} from '../options/tune'
import type { PortRange } from '../options/values'
import { custom, spec, type InputOf, type OutputOf } from '../spec'
import { familyOf, type IpFamily } from './address'
import { portChoiceHere, type PortChoice } from './port-choice'
import { SourcePool } from './source-pool'

const source = custom<string | SourcePool>(
  'an IP address or an instance of SourcePool',
  (argument, value) => {
    if (value instanceof SourcePool) return value
    if (typeof value !== 'string')
      throw new ArgumentTypeError(argument, 'an IP address or an instance of SourcePool', value)
    familyOf(argument, value)
    return value
  },
)

const portRange = custom<PortRange | 'kernel'>("{ min, max }, or 'kernel'", (argument, value) => {
  if (value === 'kernel') return value
  // Both ends are checked, and their order, as the option's own value.
  const { codec, row } = optionOf('IP_LOCAL_PORT_RANGE')
  codec.encode(argument, row, value)
  return value as PortRange
})

/** How connections are to be opened and closed. */
export const tuningOptions = spec({
  /**
   * Options in force before connect(2), on every attempt. One that this platform or kernel does not
   * have is an error.
   */
  settings: settingsOption.default({}),
  /** Where connections come from: an address of this host, or a pool of them. */
  source,
  /**
   * Ephemeral ports to choose from, inside of net.ipv4.ip_local_port_range (Linux 6.3+). By default
   * all of it, searched so that connect() does not become slow when half of it is in use (Linux 6.8+;
   * nearly so from 6.3). `'kernel'` leaves the search as the kernel makes it.
   */
  portRange,
  /** What destroy() and destroySoon() of the socket do: see `setCloseMode`. Default: as Node does. */
  close,
})

/** How connections are to be opened and closed. */
export type TuningOptions = InputOf<typeof tuningOptions>

/** The same, checked one by one. */
export type CheckedTuning = OutputOf<typeof tuningOptions>

/** The same, ready for any number of connections. */
export interface Tuning {
  readonly settings: PreparedSettings
  readonly portChoice: PortChoice
  readonly pool: SourcePool | undefined
  readonly localAddress: string | undefined
  /** Of the source, if there is one: destinations must be of it. */
  readonly family: IpFamily | 0
  /** The caller confined the ephemeral ports. */
  readonly confined: boolean
  readonly policy: PolicyOptions | undefined
  /** The option that a unix-domain socket cannot have. */
  readonly tcpOnly: 'source' | 'portRange' | undefined
  /** Nothing of it concerns the socket before it is connected: so it can be had on every platform. */
  readonly onlyClose: boolean
}

/**
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_TUNER_UNSUPPORTED
 *   for an option that this platform does not have
 */
export function prepareTuning(checked: CheckedTuning): Tuning {
  const { settings, source, portRange } = checked
  const range = confinedRange(portRange, settings)
  const prepared = prepareSettings(
    range === undefined ? settings : { IP_LOCAL_PORT_RANGE: range, ...settings },
  )
  requirePresent(prepared.missing)
  const pool = source instanceof SourcePool ? source : undefined
  const localAddress = source instanceof SourcePool ? undefined : source
  const tcpOnly =
    source !== undefined ? 'source' : portRange !== undefined ? 'portRange' : undefined
  const chosen = portRange !== undefined || settings.IP_LOCAL_PORT_RANGE !== undefined
  return {
    settings: prepared,
    confined: range !== undefined || settings.IP_LOCAL_PORT_RANGE !== undefined,
    portChoice: chosen ? 'kernel' : portChoiceHere(),
    pool,
    localAddress,
    family: pool?.family ?? (localAddress === undefined ? 0 : familyOf('source', localAddress)),
    policy: checked.close,
    tcpOnly,
    onlyClose: prepared.operations.length === 0 && tcpOnly === undefined,
  }
}

/**
 * A range to confine the ports to.
 *
 * @param argument what messages call it
 * @throws ERR_INVALID_ARG_VALUE beside the option itself, ERR_OUT_OF_RANGE outside of the system's range
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
    // The kernel would take no notice of an end that lies outside.
    const inside = `inside of net.ipv4.ip_local_port_range (${String(all.min)} to ${String(all.max)})`
    throw new ArgumentRangeError(argument, inside, portRange)
  }
  return portRange
}

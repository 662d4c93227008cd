/** What connect() and the adapters may be told beside net.connect's own options, checked once. */
import type { CloseMode } from '../close/report'
import { closeModeOptionNames, policyOptions, type CloseModeOptions } from '../close/options'
import type { PolicyOptions } from '../close/policy'
import {
  ArgumentRangeError,
  ArgumentTypeError,
  ArgumentValueError,
  checkObject,
  checkOptions,
} from '../errors'
import { systemPortRange } from '../observe/namespace-facts'
import type { Settings } from '../options/option'
import { prepareSettings, requirePresent, type PreparedSettings } from '../options/tune'
import type { PortRange } from '../options/values'
import { familyOf, type IpFamily } from './address'
import { portChoiceHere, type PortChoice } from './port-choice'
import { SourcePool } from './source-pool'

/** How connections are to be opened and closed. */
export interface TuningOptions extends CloseModeOptions {
  /**
   * Options in force before connect(2), on every attempt. One that this platform or kernel does not
   * have is an error.
   */
  settings?: Settings | undefined
  /** Where connections come from: an address of this host, or a pool of them. */
  source?: string | SourcePool | undefined
  /**
   * Ephemeral ports to choose from, inside of net.ipv4.ip_local_port_range (Linux 6.3+). By default
   * all of it, searched so that connect() does not become slow when half of it is in use (Linux 6.8+;
   * nearly so from 6.3). `'kernel'` leaves the search as the kernel makes it.
   */
  portRange?: PortRange | 'kernel' | undefined
  /** What destroy() and destroySoon() of the socket do: see `setCloseMode`. */
  closeMode?: CloseMode | undefined
}

/** Their names, for callers that take them among others. */
export const tuningOptionNames = [
  'settings',
  'source',
  'portRange',
  'closeMode',
  ...closeModeOptionNames,
] as const satisfies readonly (keyof TuningOptions)[]

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
export function prepareTuning(options: TuningOptions): Tuning {
  checkOptions('options', options)
  const { settings = {}, source, portRange, closeMode } = options
  const range = checkPortRange(portRange, settings)
  const prepared = prepareSettings(
    range === undefined ? settings : { IP_LOCAL_PORT_RANGE: range, ...settings },
  )
  requirePresent(prepared.missing)
  const pool = source instanceof SourcePool ? source : undefined
  const localAddress = pool === undefined ? checkSource(source) : undefined
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
    policy: closeMode === undefined ? undefined : policyOptions(closeMode, options),
    tcpOnly,
    onlyClose: prepared.operations.length === 0 && tcpOnly === undefined,
  }
}

function checkSource(source: unknown): string | undefined {
  if (source === undefined) return undefined
  if (typeof source !== 'string')
    throw new ArgumentTypeError('source', 'an IP address or an instance of SourcePool', source)
  familyOf('source', source)
  return source
}

/** A range to confine the ports to. */
function checkPortRange(portRange: unknown, settings: Settings): PortRange | undefined {
  if (portRange === undefined || portRange === 'kernel') return undefined
  checkObject('portRange', portRange)
  const range = portRange as unknown as PortRange
  // Both ends are checked, and their order, as the option's own value.
  prepareSettings({ IP_LOCAL_PORT_RANGE: range })
  if (settings.IP_LOCAL_PORT_RANGE !== undefined) {
    throw new ArgumentValueError(
      'portRange',
      'cannot be given together with settings.IP_LOCAL_PORT_RANGE',
      range,
    )
  }
  const all = systemPortRange()
  if (all !== undefined && (range.min < all.min || range.max > all.max)) {
    // The kernel would take no notice of an end that lies outside.
    const inside = `inside of net.ipv4.ip_local_port_range (${String(all.min)} to ${String(all.max)})`
    throw new ArgumentRangeError('portRange', inside, range)
  }
  return range
}

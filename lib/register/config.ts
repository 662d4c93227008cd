/** Reads the configuration, and checks each value separately, so that an error names the value. */
import type { PolicyOptions } from '../close/mode'
import { close } from '../close/close-options'
import { realPort } from '../connect/address'
import { sourcesByFamily, type SourcesByFamily } from '../connect/source'
import { confinedRange, tuningOptions } from '../connect/tuning'
import { checkObject } from '../errors'
import { backlogField } from '../connect/listening'
import {
  connectionLimits,
  connectionLimitsOf,
  type ConnectionLimits,
} from '../server/connection-limits'
import { optionOf, type Settings } from '../options/option'
import { prepareSettings } from '../options/tune'
import type { PortRange } from '../kernel/proc'
import { bag, custom, list, spec, type OutputOf } from '../spec'
import type { FoundText } from './find'
import { Match, networkPattern } from './match'

/** The common part of both sections. */
interface SectionConfiguration {
  readonly settings: Settings
  readonly policy: PolicyOptions | undefined
  readonly match: Match
}

export interface ClientsConfiguration extends SectionConfiguration {
  /** Undefined: the kernel chooses. */
  readonly sources: SourcesByFamily
  readonly portRange: PortRange | 'kernel' | undefined
}

export interface ServersConfiguration extends SectionConfiguration {
  readonly backlog: number | undefined
  readonly limits: ConnectionLimits
}

export interface RegisterConfiguration {
  readonly clients: ClientsConfiguration | undefined
  readonly servers: ServersConfiguration | undefined
  /** The settings that this platform lacks, with the reason: `clients.settings.TCP_USER_TIMEOUT: …`. */
  readonly absent: readonly string[]
}

/** Names the variable or the file with the error. */
export class ConfigurationError extends Error {
  constructor({ name }: FoundText, cause: unknown) {
    super(`${name}: ${(cause as Error).message}`, { cause })
  }
}

/** Settings read from JSON. */
interface JsonSettings {
  readonly present: Settings
  readonly absent: readonly string[]
}

const section = {
  /**
   * The sockets that the section is for: clients by the destination of the connection, servers by their local address.
   * `addresses` has IP addresses, or networks such as 10.0.0.0/8; `ports` has port numbers. Default: all sockets.
   */
  match: bag(
    spec({
      addresses: list(networkPattern, { min: 1 }),
      ports: list(realPort, { min: 1 }),
    }),
  ).default({ addresses: undefined, ports: undefined }),
  /** Socket options to set on them. A warning names those that this platform does not have. */
  settings: custom<Settings, JsonSettings>('socket options by their names', readSettings).default({
    present: {},
    absent: [],
  }),
  /** Their standing close mode: see `setCloseMode`. Default: Node's own close. */
  close,
}

export const clientsSection = spec({
  ...section,
  /** One or more addresses of this host. Each is used for connections of its own family. */
  source: sourcesByFamily.default({ 4: undefined, 6: undefined }),
  /**
   * The ephemeral ports to choose from, or `'kernel'`: as in `connect()`. A warning names it on a platform without it.
   */
  portRange: tuningOptions.fields.portRange,
})

export const serversSection = spec({
  ...section,
  /** The backlog, in place of the one that the program passes; limited by net.core.somaxconn. */
  backlog: backlogField,
  ...connectionLimits.fields,
})

const configuration = spec({ clients: bag(clientsSection), servers: bag(serversSection) })

type CheckedConfiguration = OutputOf<typeof configuration>

/** @throws ConfigurationError */
export function readConfiguration(found: FoundText): RegisterConfiguration {
  try {
    const json: unknown = JSON.parse(found.text)
    checkObject('configuration', json)
    const { clients, servers } = configuration.check('', json)
    return {
      clients: clients === undefined ? undefined : clientsOf(clients),
      servers: servers === undefined ? undefined : serversOf(servers),
      absent: [...absentIn(clients), ...absentIn(servers)],
    }
  } catch (error) {
    throw new ConfigurationError(found, error)
  }
}

function clientsOf(checked: NonNullable<CheckedConfiguration['clients']>): ClientsConfiguration {
  const settings = checked.settings.present
  const isAbsent = portRangeIsAbsent(checked)
  if (!isAbsent) confinedRange(checked.portRange, settings, 'clients.portRange')
  return {
    ...sectionOf(checked),
    sources: checked.source,
    portRange: isAbsent ? undefined : checked.portRange,
  }
}

function serversOf(checked: NonNullable<CheckedConfiguration['servers']>): ServersConfiguration {
  return { ...sectionOf(checked), backlog: checked.backlog, limits: connectionLimitsOf(checked) }
}

function sectionOf(
  checked: NonNullable<CheckedConfiguration['clients'] | CheckedConfiguration['servers']>,
): SectionConfiguration {
  return {
    settings: checked.settings.present,
    policy: checked.close,
    match: new Match(checked.match.addresses, checked.match.ports),
  }
}

/** Checks each setting separately, so that the message has its path. */
function readSettings(path: string, given: unknown): JsonSettings {
  checkObject(path, given)
  const present: Record<string, unknown> = {}
  const absent: string[] = []
  for (const [name, value] of Object.entries(given)) {
    try {
      const natural = optionOf(name).codec.fromJson?.(value) ?? value
      const { missing } = prepareSettings({ [name]: natural })
      if (missing.length === 0) present[name] = natural
      else absent.push(`${path}.${name}: ${process.platform} has no such option`)
    } catch (cause) {
      throw new Error(`${path}.${name}: ${(cause as Error).message}`, { cause })
    }
  }
  return { present, absent }
}

function absentIn(
  checked: CheckedConfiguration['clients'] | CheckedConfiguration['servers'],
): readonly string[] {
  if (checked === undefined) return []
  const { absent } = checked.settings
  return portRangeIsAbsent(checked)
    ? [...absent, `clients.portRange: ${process.platform} has no such option`]
    : absent
}

function portRangeIsAbsent(checked: object): boolean {
  const { portRange } = checked as { readonly portRange?: PortRange | 'kernel' }
  return typeof portRange === 'object' && optionOf('IP_LOCAL_PORT_RANGE').number === undefined
}

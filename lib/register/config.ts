/** The configuration, checked value by value, so that an error can say which one it is. */
import { close, type PolicyOptions } from '../close/options'
import { familyOf, ipAddress, realPort } from '../connect/address'
import { SourcePool } from '../connect/source-pool'
import { confinedRange, tuningOptions } from '../connect/tuning'
import { ArgumentValueError, checkObject } from '../errors'
import { backlogField } from '../server/bound'
import { optionOf, type Settings } from '../options/option'
import { prepareSettings } from '../options/tune'
import type { PortRange } from '../options/values'
import { bag, custom, list, spec, type OutputOf } from '../spec'
import type { FoundText } from './find'
import { Match, networkPattern } from './match'

/** What both sections have. */
interface Section {
  readonly settings: Settings
  readonly policy: PolicyOptions | undefined
  readonly match: Match
}

export interface ClientsConfiguration extends Section {
  /** Source addresses of one family or of both; empty for the kernel's choice. */
  readonly sources: readonly string[]
  readonly portRange: PortRange | 'kernel' | undefined
}

export interface ServersConfiguration extends Section {
  readonly backlog: number | undefined
}

export interface Configuration {
  readonly clients: ClientsConfiguration | undefined
  readonly servers: ServersConfiguration | undefined
  /** What is set here and this platform does not have: `clients.settings.TCP_USER_TIMEOUT`, and why. */
  readonly absent: readonly string[]
}

/** Says which of the values has the error. */
export class ConfigurationError extends Error {
  constructor({ name }: FoundText, cause: unknown) {
    super(`${name}: ${(cause as Error).message}`, { cause })
  }
}

/** Settings as JSON has them. */
interface JsonSettings {
  readonly present: Settings
  readonly absent: readonly string[]
}

const section = {
  match: bag(
    spec({
      addresses: list(networkPattern, { min: 1 }),
      ports: list(realPort, { min: 1 }),
    }),
  ).default({ addresses: undefined, ports: undefined }),
  settings: custom<Settings, JsonSettings>('socket options by their names', readSettings).default({
    present: {},
    absent: [],
  }),
  close,
}

export const clientsSection = spec({
  ...section,
  source: ipAddress,
  sources: list(ipAddress, { min: 1 }).default([]),
  portRange: tuningOptions.fields.portRange,
})

export const serversSection = spec({ ...section, backlog: backlogField })

const configuration = spec({ clients: bag(clientsSection), servers: bag(serversSection) })

type Checked = OutputOf<typeof configuration>

/** @throws ConfigurationError */
export function readConfiguration(found: FoundText): Configuration {
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

function clientsOf(checked: NonNullable<Checked['clients']>): ClientsConfiguration {
  const settings = checked.settings.present
  const isAbsent = portRangeIsAbsent(checked)
  if (!isAbsent) confinedRange(checked.portRange, settings, 'clients.portRange')
  return {
    ...sectionOf(checked),
    sources: sourcesOf(checked.source, checked.sources),
    portRange: isAbsent ? undefined : checked.portRange,
  }
}

function serversOf(checked: NonNullable<Checked['servers']>): ServersConfiguration {
  return { ...sectionOf(checked), backlog: checked.backlog }
}

function sectionOf(checked: NonNullable<Checked['clients'] | Checked['servers']>): Section {
  return {
    settings: checked.settings.present,
    policy: checked.close,
    match: new Match(checked.match.addresses, checked.match.ports),
  }
}

function sourcesOf(source: string | undefined, sources: readonly string[]): readonly string[] {
  if (source !== undefined && sources.length > 0) {
    const reason = 'cannot be given together with source'
    throw new ArgumentValueError('clients.sources', reason, sources)
  }
  for (const family of [4, 6]) {
    const own = sources.filter((address) => familyOf('sources', address) === family)
    // It refuses what is there twice.
    if (own.length > 0) new SourcePool(own)
  }
  return source === undefined ? sources : [source]
}

/** Each by itself, so that the message can have its path. */
function readSettings(path: string, given: unknown): JsonSettings {
  checkObject(path, given)
  const present: Record<string, unknown> = {}
  const absent: string[] = []
  for (const [name, value] of Object.entries(given)) {
    try {
      const { row } = optionOf(name)
      // JSON has no bigint.
      const isWhole = row.kind === 'u64' && typeof value === 'number' && Number.isSafeInteger(value)
      const natural = isWhole ? BigInt(value) : value
      const { missing } = prepareSettings({ [name]: natural })
      if (missing.length === 0) present[name] = natural
      else absent.push(`${path}.${name}: ${process.platform} has no such option`)
    } catch (cause) {
      throw new Error(`${path}.${name}: ${(cause as Error).message}`, { cause })
    }
  }
  return { present, absent }
}

function absentIn(checked: Checked['clients'] | Checked['servers']): readonly string[] {
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

/** The configuration, checked value by value, so that an error can say which one it is. */
import { closeModeOptionNames, policyOptions } from '../../close/options'
import type { PolicyOptions } from '../../close/policy'
import { familyOf } from '../../connect/address'
import { SourcePool } from '../../connect/source-pool'
import { prepareTuning } from '../../connect/tuning'
import { ArgumentTypeError, ArgumentValueError, checkObject, checkWhole } from '../../errors'
import { optionOf, type Settings } from '../../options/option'
import { prepareSettings } from '../../options/tune'
import type { PortRange } from '../../options/values'
import { Json, JsonError, type Position } from './json'
import type { FoundText } from './find'
import { Match } from './match'

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

/** Says where in the text the error is. */
export class ConfigurationError extends Error {
  constructor({ name }: FoundText, { line, column }: Position, what: string) {
    super(`${name}:${String(line)}:${String(column)}: ${what}`)
  }
}

const MAX_BACKLOG = 2 ** 31 - 1
const sectionKeys = ['match', 'settings', 'closeMode', ...closeModeOptionNames]
const clientKeys = [...sectionKeys, 'source', 'sources', 'portRange']
const serverKeys = [...sectionKeys, 'backlog']

type Values = Record<string, unknown>

/** @throws ConfigurationError */
export function readConfiguration(found: FoundText): Configuration {
  let json: Json
  try {
    json = new Json(found.text)
  } catch (error) {
    if (error instanceof JsonError)
      throw new ConfigurationError(found, error.position, error.message)
    throw error
  }
  return new Reader(found, json).read()
}

class Reader {
  readonly #found: FoundText
  readonly #json: Json
  readonly #absent: string[] = []

  constructor(found: FoundText, json: Json) {
    this.#found = found
    this.#json = json
  }

  read(): Configuration {
    const all = this.#object('', this.#json.value, ['clients', 'servers'])
    return {
      clients: this.#in(all, 'clients', clientKeys, (values) => this.#clients(values)),
      servers: this.#in(all, 'servers', serverKeys, (values) => this.#servers(values)),
      absent: this.#absent,
    }
  }

  #clients(values: Values): ClientsConfiguration {
    const section = this.#section('clients', values)
    return {
      ...section,
      sources: this.#sources(values),
      portRange: this.#portRange(values.portRange, section.settings),
    }
  }

  #servers(values: Values): ServersConfiguration {
    const { backlog } = values
    if (backlog !== undefined) {
      this.#check('servers.backlog', () => {
        checkWhole('backlog', backlog, 1, MAX_BACKLOG)
      })
    }
    return { ...this.#section('servers', values), backlog: backlog as number | undefined }
  }

  #section(name: string, values: Values): Section {
    const settings = this.#in(
      values,
      'settings',
      undefined,
      (given) => this.#settings(`${name}.settings`, given),
      name,
    )
    return {
      settings: settings ?? {},
      policy: this.#policy(name, values),
      match: this.#match(name, values),
    }
  }

  #settings(path: string, given: Values): Settings {
    const settings: Values = {}
    for (const [name, value] of Object.entries(given)) {
      const own = `${path}.${name}`
      const { row } = this.#check(own, () => optionOf(name), this.#json.positionOfName(own))
      // JSON has no bigint.
      const isWhole = row.kind === 'u64' && typeof value === 'number' && Number.isSafeInteger(value)
      const natural = isWhole ? BigInt(value) : value
      const one = { [name]: natural } as Settings
      const { missing } = this.#check(own, () => prepareSettings(one))
      if (missing.length === 0) settings[name] = natural
      else this.#absent.push(`${own}: ${process.platform} has no such option`)
    }
    return settings
  }

  #policy(name: string, values: Values): PolicyOptions | undefined {
    const { closeMode } = values
    const options: Values = {}
    for (const key of closeModeOptionNames) {
      const value = values[key]
      if (value === undefined) continue
      options[key] = value
      this.#check(`${name}.${key}`, () => policyOptions('fin', { [key]: value }))
      if (closeMode !== undefined) continue
      throw this.#error(
        `${name}.${key}`,
        'goes with closeMode only',
        this.#json.positionOfName(`${name}.${key}`),
      )
    }
    if (closeMode === undefined) return undefined
    return this.#check(`${name}.closeMode`, () => policyOptions(closeMode, options, 'closeMode'))
  }

  #match(name: string, values: Values): Match {
    const match = new Match()
    this.#in(
      values,
      'match',
      ['addresses', 'ports'],
      ({ addresses, ports }) => {
        this.#each(`${name}.match.addresses`, addresses, (address) => {
          match.addAddress(address)
        })
        this.#each(`${name}.match.ports`, ports, (port) => {
          match.addPort(port)
        })
      },
      name,
    )
    return match
  }

  #sources({ source, sources }: Values): readonly string[] {
    if (source !== undefined && sources !== undefined) {
      const reason = 'cannot be given together with source'
      throw this.#error('clients.sources', reason, this.#json.positionOfName('clients.sources'))
    }
    if (source !== undefined) {
      this.#check('clients.source', () => familyOf('source', source))
      return [source as string]
    }
    const all: string[] = []
    this.#each('clients.sources', sources, (address) => {
      const family = familyOf('sources', address)
      const others = all.filter((other) => familyOf('sources', other) === family)
      // It refuses what is there twice.
      new SourcePool([...others, address as string])
      all.push(address as string)
    })
    return all
  }

  #portRange(value: unknown, { IP_LOCAL_PORT_RANGE }: Settings): PortRange | 'kernel' | undefined {
    if (value === undefined) return undefined
    const portRange = value as PortRange | 'kernel'
    const settings = IP_LOCAL_PORT_RANGE === undefined ? {} : { IP_LOCAL_PORT_RANGE }
    return this.#check('clients.portRange', () => {
      const absent = value !== 'kernel' && optionOf('IP_LOCAL_PORT_RANGE').number === undefined
      if (absent) this.#absent.push(`clients.portRange: ${process.platform} has no such option`)
      else prepareTuning({ portRange, settings })
      return absent ? undefined : portRange
    })
  }

  /** A part that is an object; undefined where it is not given. */
  #in<T>(
    values: Values,
    key: string,
    known: readonly string[] | undefined,
    read: (values: Values) => T,
    parent = '',
  ): T | undefined {
    const value = values[key]
    if (value === undefined) return undefined
    return read(this.#object(parent === '' ? key : `${parent}.${key}`, value, known))
  }

  #object(path: string, value: unknown, known: readonly string[] | undefined): Values {
    const values = this.#check(path, () => {
      checkObject(path === '' ? 'configuration' : path, value)
      return value
    })
    for (const key of Object.keys(values)) {
      if (known === undefined || known.includes(key)) continue
      const own = path === '' ? key : `${path}.${key}`
      throw this.#error(own, `is not one of: ${known.join(', ')}`, this.#json.positionOfName(own))
    }
    return values
  }

  /** The elements of an array that has some. */
  #each(path: string, value: unknown, use: (element: unknown) => void): void {
    if (value === undefined) return
    const elements = this.#check(path, () => {
      const name = path.slice(path.lastIndexOf('.') + 1)
      if (!Array.isArray(value)) throw new ArgumentTypeError(name, 'an array', value)
      if (value.length === 0) throw new ArgumentValueError(name, 'must not be empty', value)
      return value as unknown[]
    })
    elements.forEach((element, index) => {
      this.#check(`${path}[${String(index)}]`, () => {
        use(element)
      })
    })
  }

  #check<T>(path: string, check: () => T, position = this.#json.positionOf(path)): T {
    try {
      return check()
    } catch (error) {
      throw this.#error(path, (error as Error).message, position)
    }
  }

  #error(path: string, what: string, position: Position): ConfigurationError {
    return new ConfigurationError(this.#found, position, path === '' ? what : `${path}: ${what}`)
  }
}

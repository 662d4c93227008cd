/** `socket-tuner options [NAME]`: lists the catalogue, or describes one option, for this platform. */
import { describeOption, optionNames, type OptionInfo, type OptionName } from '../index'
import { refusalsText } from '../options/failure'
import { asUsageError } from './arguments'
import { align, wrap } from './text'

/** @throws UsageError for an unknown name */
export function printOptions(name: string | undefined, json: boolean): void {
  if (name === undefined) {
    const all = optionNames.map(describeOption)
    process.stdout.write(json ? asJson(all) : list(all))
    return
  }
  const option = find(name)
  process.stdout.write(json ? asJson(option) : describe(option))
}

function find(name: string): OptionInfo {
  try {
    return describeOption(name.toUpperCase() as OptionName)
  } catch (error) {
    throw asUsageError(error)
  }
}

function asJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

function list(options: readonly OptionInfo[]): string {
  const lines: string[] = []
  for (const level of new Set(options.map((option) => option.level))) {
    const rows = options.filter((option) => option.level === level)
    lines.push(level, ...align(rows.map(listed), 'llll').map((line) => `  ${line}`), '')
  }
  lines.push(
    `${String(options.length)} options. In parentheses: not on ${process.platform}. r: readable, w: writable, rw: both, none: not offered.`,
    "Then the kind of value, and when to set it. 'socket-tuner options NAME' describes one option.",
  )
  return `${lines.join('\n')}\n`
}

function listed({ name, number, access, kind, unit, when }: OptionInfo): string[] {
  return [
    number === undefined ? `(${name})` : name,
    access,
    unit === undefined ? kind : `${kind}, ${unit}`,
    when,
  ]
}

function describe(option: OptionInfo): string {
  const { name, level, levelNumber, number, summary } = option
  const numbers =
    number === undefined
      ? `${level}; not on ${process.platform}`
      : `${level} ${String(levelNumber)}, option ${String(number)}`
  const facts = factsOf(option).flatMap(([label, text]) => {
    return text === undefined ? [] : wrap(text, `  ${label.padEnd(12)}`)
  })
  return `${[`${name} (${numbers})`, ...wrap(summary, ''), '', ...facts].join('\n')}\n`
}

type Fact = readonly [label: string, text: string | undefined]

function factsOf(option: OptionInfo): readonly Fact[] {
  return [
    ['value', valueOf(option)],
    ['access', option.because === undefined ? option.access : `none: ${option.because}`],
    ['set', option.when],
    ['inherited', inheritance(option)],
    ['reads back', option.rewritten],
    ['privilege', option.privilege],
    ['refused', refusalsText(option)],
    ['also sets', option.alsoChanges?.join(', ')],
    ['since', option.since === undefined ? undefined : `Linux ${option.since}`],
    ['macOS', option.darwin],
    ['Windows', option.windows],
    ['hazard', option.hazard],
    ['reading', option.readHazard],
    [
      'on TCP',
      option.noEffectOnTcp === undefined ? undefined : `no effect; for ${option.noEffectOnTcp}`,
    ],
    ['source', option.source],
  ]
}

function valueOf({ kind, unit, range, also, length, secret }: OptionInfo): string {
  const parts: string[] = [kind]
  if (unit !== undefined) parts.push(unit)
  if (range !== undefined) parts.push(`${String(range[0])} to ${String(range[1])}`)
  if (also !== undefined) parts.push(`also ${also.join(', ')}`)
  if (length !== undefined) parts.push(`${String(length[0])} to ${String(length[1])} bytes`)
  if (secret === true) parts.push('secret, never printed')
  return parts.join(', ')
}

function inheritance({ inherited }: OptionInfo): string {
  if (inherited === null) return 'not applicable: it has no meaning on a listening socket'
  return inherited ? 'by accepted sockets' : 'not by accepted sockets'
}

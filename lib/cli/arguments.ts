/** What the command line says, checked. */
import { isIPv6 } from 'node:net'
import { parseArgs } from 'node:util'
import type { Severity } from '../doctor/rule'
import { diagnosisTarget, type DiagnosisTarget } from '../doctor/target'
import { ArgumentTypeError, ArgumentValueError, checkWhole } from '../errors'
import { nearest } from '../spec'

export type Command =
  | { readonly name: 'version' }
  /** Of one command, or of all. */
  | { readonly name: 'help'; readonly of: CommandName | undefined }
  | { readonly name: 'options'; readonly option: string | undefined; readonly json: boolean }
  | ({ readonly name: 'demo' } & DemoArguments)
  | ({ readonly name: 'doctor' } & DoctorArguments)
  | ({ readonly name: 'top' } & TopArguments)

export interface DemoArguments {
  readonly json: boolean
  /** Connections in each mode; undefined for what suits the place. */
  readonly connections: number | undefined
  /** Time in which each mode must be done, s. */
  readonly seconds: number
  /** Not in a network namespace, though it could be had. */
  readonly loopback: boolean
}

export interface DoctorArguments {
  readonly json: boolean
  readonly target: DiagnosisTarget | undefined
  /** Print a file for /etc/sysctl.d in place of the findings. */
  readonly printSysctl: boolean
  /** Findings of this severity and above make the command fail. */
  readonly failOn: FailOn | undefined
}

export interface TopArguments {
  readonly json: boolean
  /** One look, then the end. */
  readonly once: boolean
  /** From one look to the next, s. */
  readonly seconds: number
  readonly targets: readonly DiagnosisTarget[]
}

/** What makes the program exit with code 2: it was called wrongly. */
export class UsageError extends Error {
  readonly code: string

  constructor(message: string, code: string) {
    super(message)
    this.code = code
  }
}

export const MAX_CONNECTIONS = 100_000
/** Four modes of this length, and what comes between them, stay below 90 s. */
export const MAX_SECONDS = 15
const DEFAULT_SECONDS = 12
const MAX_INTERVAL_S = 3_600
const INTERVAL_S = 2
const MAX_TARGETS = 10

const failOn = ['critical', 'warning', 'advice'] as const satisfies readonly Severity[]

export type FailOn = (typeof failOn)[number]

const flags = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
  json: { type: 'boolean' },
  connections: { type: 'string' },
  seconds: { type: 'string' },
  loopback: { type: 'boolean' },
  target: { type: 'string', multiple: true },
  interval: { type: 'string' },
  once: { type: 'boolean' },
  'print-sysctl': { type: 'boolean' },
  'fail-on': { type: 'string' },
} as const

type Flag = keyof typeof flags

const flagsOf = {
  demo: ['json', 'connections', 'seconds', 'loopback'],
  options: ['json'],
  doctor: ['json', 'target', 'print-sysctl', 'fail-on'],
  top: ['json', 'target', 'interval', 'once'],
} as const satisfies Record<string, readonly Flag[]>

export type CommandName = keyof typeof flagsOf

const commandNames = Object.keys(flagsOf) as CommandName[]
/** With every command, and without one. */
const everywhere: readonly Flag[] = ['help', 'version']

const helpOf: Readonly<Record<CommandName, string>> = {
  demo: `  demo                 Opens and closes some thousand connections in each close mode and prints
                       what became of them, their bytes and their ports. As root (Linux) in a
                       network namespace of its own, else on loopback. Takes less than 90 s.
    --connections N    connections in each mode, 10 to ${String(MAX_CONNECTIONS)}
    --seconds N        time limit of each mode, 1 to ${String(MAX_SECONDS)}; default ${String(DEFAULT_SECONDS)}
    --loopback         on loopback also as root
    --json             print the figures as JSON
`,
  options: `  options [NAME]       Lists the socket options, or describes one.
    --json             print as JSON
`,
  doctor: `  doctor               Reports what is wrong, or could be better, with ports, TIME_WAIT and queues of
                       this network namespace, and what to set. Changes nothing.
    --target HOST:PORT for connections to there; an IPv6 address in brackets: [::1]:80
    --fail-on SEVERITY exit with 3 when there is a finding of this severity or above:
                       ${failOn.join(', ')}
    --print-sysctl     print a file for /etc/sysctl.d with the settings, those of severity info left out
    --json             print facts and findings as JSON
`,
  top: `  top                  Shows TIME_WAIT and ports by destination as they go, when they are used up, and
                       what connect() costs. Ends with q.
    --target HOST:PORT show this destination too, up to ${String(MAX_TARGETS)} of them; of a host name each address
    --interval N       seconds from one look to the next, 1 to ${String(MAX_INTERVAL_S)}; default ${String(INTERVAL_S)}
    --once             print one look and end
    --json             print each look as a line of JSON
`,
}

const EXIT_CODES = 'Exit codes: 0 it ran, 1 it failed, 2 it was called wrongly'

/** What --help prints. */
export function usage(of?: CommandName): string {
  if (of !== undefined) {
    const codes = of === 'doctor' ? `${EXIT_CODES}, 3 see --fail-on` : EXIT_CODES
    return `Usage: socket-tuner ${of} [OPTIONS]\n\n${helpOf[of]}\n${codes}.\n`
  }
  const all = commandNames.map((name) => helpOf[name]).join('\n')
  return `Usage: socket-tuner <command>

${all}
  help [COMMAND]       Prints this, or the part on one command.
  -h, --help           the same
  -v, --version        print the version

${EXIT_CODES}, 3 see doctor --fail-on.
`
}

/** @throws UsageError */
export function parseCommand(args: readonly string[]): Command {
  const { values, positionals } = parse(args)
  const [first, ...others] = positionals
  if (first === 'help' || values.help === true) {
    const [of, ...more] = first === 'help' ? others : positionals
    refuseRest('help', first === 'help' ? more : [], 0)
    return { name: 'help', of: of === undefined ? undefined : commandOf(of) }
  }
  if (values.version === true) return { name: 'version' }
  if (first === undefined) {
    throw new UsageError(
      `No command was given; there are ${commandNames.join(', ')}`,
      'ERR_MISSING_ARGS',
    )
  }
  const name = commandOf(first)
  refuseOthers(name, values)
  const json = values.json === true
  if (name === 'options') {
    refuseRest(name, others, 1)
    return { name, option: others[0], json }
  }
  refuseRest(name, others, 0)
  if (name === 'doctor') return { name, json, ...doctorArguments(values) }
  if (name === 'top') return { name, json, ...topArguments(values) }
  return {
    name: 'demo',
    json,
    connections: whole('--connections', values.connections, 10, MAX_CONNECTIONS),
    seconds: whole('--seconds', values.seconds, 1, MAX_SECONDS) ?? DEFAULT_SECONDS,
    loopback: values.loopback === true,
  }
}

function commandOf(text: string): CommandName {
  const name = commandNames.find((each) => each === text)
  if (name !== undefined) return name
  const meant = nearest(text, [...commandNames, 'help'])
  const hint =
    meant === undefined ? `there are ${commandNames.join(', ')}` : `did you mean '${meant}'?`
  throw new UsageError(`'${text}' is not a command; ${hint}`, 'ERR_INVALID_ARG_VALUE')
}

function doctorArguments(
  values: ReturnType<typeof parse>['values'],
): Omit<DoctorArguments, 'json'> {
  const printSysctl = values['print-sysctl'] === true
  if (printSysctl && values.json === true) {
    throw new UsageError('--print-sysctl and --json exclude each other', 'ERR_INVALID_ARG_VALUE')
  }
  const [target] = targetsOf(values.target, 1)
  return { printSysctl, target, failOn: severityOf(values['fail-on']) }
}

function severityOf(text: string | undefined): FailOn | undefined {
  const severity = failOn.find((each) => each === text)
  if (text === undefined || severity !== undefined) return severity
  throw new UsageError(
    `--fail-on takes one of: ${failOn.join(', ')}. Received '${text}'`,
    'ERR_INVALID_ARG_VALUE',
  )
}

function topArguments({
  once = false,
  interval,
  target,
}: ReturnType<typeof parse>['values']): Omit<TopArguments, 'json'> {
  const seconds = whole('--interval', interval, 1, MAX_INTERVAL_S) ?? INTERVAL_S
  return { once, seconds, targets: targetsOf(target, MAX_TARGETS) }
}

function targetsOf(texts: readonly string[] = [], most: number): DiagnosisTarget[] {
  if (texts.length > most) {
    throw new UsageError(
      `--target can be given ${most === 1 ? 'once' : `${String(most)} times`}`,
      'ERR_INVALID_ARG_VALUE',
    )
  }
  return texts.map(targetOf)
}

/** `host:port`, `1.2.3.4:80` or `[::1]:80`. */
function targetOf(text: string): DiagnosisTarget {
  const [, inBrackets, name, port = ''] = /^(?:\[([^\]]*)\]|([^:[\]\s]+)):(\d+)$/.exec(text) ?? []
  try {
    if (inBrackets !== undefined && isIPv6(inBrackets)) {
      return diagnosisTarget.check('--target', { host: inBrackets, port: Number(port) })
    }
    if (name !== undefined)
      return diagnosisTarget.check('--target', { host: name, port: Number(port) })
    throw new ArgumentValueError(
      '--target',
      'must be host:port with a number for the port, an IPv6 address in brackets: [::1]:80',
      text,
    )
  } catch (error) {
    throw asUsageError(error)
  }
}

function parse(args: readonly string[]) {
  const all = { args: [...args], options: flags, allowPositionals: true } as const
  // Names first, in words of our own: those of parseArgs() know no nearest one.
  const { tokens, positionals } = parseArgs({ ...all, strict: false, tokens: true })
  for (const token of tokens) {
    if (token.kind === 'option' && !(token.name in flags))
      refuseFlag(
        token.rawName,
        commandNames.find((name) => name === positionals[0]),
      )
  }
  try {
    return parseArgs(all)
  } catch (error) {
    throw asUsageError(error)
  }
}

/** A flag that no command has. */
function refuseFlag(rawName: string, command: CommandName | undefined): never {
  const known = command === undefined ? Object.keys(flags) : [...flagsOf[command], ...everywhere]
  const meant = nearest(rawName.replace(/^-+/, ''), known)
  const hint = meant === undefined ? `there are ${listOf(known)}` : `did you mean --${meant}?`
  const has = command === undefined ? 'There is no option' : `'${command}' has no option`
  throw new UsageError(`${has} ${rawName}; ${hint}`, 'ERR_PARSE_ARGS_UNKNOWN_OPTION')
}

/** A flag of another command. */
function refuseOthers(name: CommandName, values: object): void {
  const allowed: readonly string[] = [...flagsOf[name], ...everywhere]
  const other = Object.keys(values).find((flag) => !allowed.includes(flag))
  if (other === undefined) return
  throw new UsageError(
    `'${name}' has no option --${other}; it has ${listOf(flagsOf[name])}`,
    'ERR_PARSE_ARGS_UNKNOWN_OPTION',
  )
}

function listOf(names: readonly string[]): string {
  return names.map((name) => `--${name}`).join(', ')
}

function refuseRest(name: string, rest: readonly string[], most: number): void {
  const extra = rest[most]
  if (extra === undefined) return
  throw new UsageError(`'${name}' does not take '${extra}'`, 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL')
}

function whole(
  argument: string,
  text: string | undefined,
  min: number,
  max: number,
): number | undefined {
  if (text === undefined) return undefined
  try {
    if (!/^-?\d+$/.test(text)) throw new ArgumentTypeError(argument, 'a whole number', text)
    const value = Number(text)
    checkWhole(argument, value, min, max)
    return value
  } catch (error) {
    throw asUsageError(error)
  }
}

export function asUsageError(error: unknown): UsageError {
  const { message, code } = error as { message: string; code?: string }
  return new UsageError(message, code ?? 'ERR_INVALID_ARG_VALUE')
}

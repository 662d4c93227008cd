/** What the command line says, checked. */
import { isIPv6 } from 'node:net'
import { parseArgs } from 'node:util'
import { checkTarget, type DiagnosisTarget } from '../doctor/target'
import { ArgumentTypeError, ArgumentValueError, checkWhole } from '../errors'

export type Command =
  | { readonly name: 'help' | 'version' }
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
} as const

type Flag = keyof typeof flags

const flagsOf = new Map<string, readonly Flag[]>([
  ['demo', ['json', 'connections', 'seconds', 'loopback']],
  ['options', ['json']],
  ['doctor', ['json', 'target', 'print-sysctl']],
  ['top', ['json', 'target', 'interval', 'once']],
])

export const usage = `Usage: socket-tuner <command>

  demo                 Opens and closes some thousand connections in each close mode and prints
                       what became of them, their bytes and their ports. As root (Linux) in a
                       network namespace of its own, else on loopback. Takes less than 90 s.
    --connections N    connections in each mode, 10 to ${String(MAX_CONNECTIONS)}
    --seconds N        time limit of each mode, 1 to ${String(MAX_SECONDS)}; default ${String(DEFAULT_SECONDS)}
    --loopback         on loopback also as root
    --json             print the figures as JSON

  options [NAME]       Lists the socket options, or tells all about one.
    --json             print as JSON

  doctor               Tells what is wrong, or could be better, with ports, TIME_WAIT and queues of
                       this network namespace, and what to set. Changes nothing.
    --target HOST:PORT for connections to there; an IPv6 address in brackets: [::1]:80
    --print-sysctl     print a file for /etc/sysctl.d with the settings
    --json             print facts and findings as JSON

  top                  Shows TIME_WAIT and ports by destination as they go, when they are used up, and
                       what connect() costs. Ends with q.
    --target HOST:PORT show this destination too, up to ${String(MAX_TARGETS)} of them
    --interval N       seconds from one look to the next, 1 to ${String(MAX_INTERVAL_S)}; default ${String(INTERVAL_S)}
    --once             print one look and end
    --json             print each look as a line of JSON

  -h, --help           print this
  -v, --version        print the version
`

/** @throws UsageError */
export function parseCommand(args: readonly string[]): Command {
  const { values, positionals } = parse(args)
  if (values.help === true) return { name: 'help' }
  if (values.version === true) return { name: 'version' }
  const [name, ...rest] = positionals
  if (name === undefined) throw new UsageError('No command given', 'ERR_MISSING_ARGS')
  const allowed = flagsOf.get(name)
  if (allowed === undefined) {
    throw new UsageError(`'${name}' is not a command`, 'ERR_INVALID_ARG_VALUE')
  }
  refuseOthers(name, values, allowed)
  const json = values.json === true
  if (name === 'options') {
    refuseRest(name, rest, 1)
    return { name, option: rest[0], json }
  }
  refuseRest(name, rest, 0)
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

function doctorArguments(
  values: ReturnType<typeof parse>['values'],
): Omit<DoctorArguments, 'json'> {
  const printSysctl = values['print-sysctl'] === true
  if (printSysctl && values.json === true) {
    throw new UsageError('--print-sysctl and --json exclude each other', 'ERR_INVALID_ARG_VALUE')
  }
  const [target] = targetsOf(values.target, 1)
  return { printSysctl, target }
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
      return checkTarget({ host: inBrackets, port: Number(port) }, '--target')
    }
    if (name !== undefined) return checkTarget({ host: name, port: Number(port) }, '--target')
    throw new ArgumentValueError('--target', 'must be host:port or [address]:port', text)
  } catch (error) {
    throw asUsageError(error)
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags, allowPositionals: true })
  } catch (error) {
    throw asUsageError(error)
  }
}

function refuseOthers(name: string, values: object, allowed: readonly string[]): void {
  const other = Object.keys(values).find((flag) => !allowed.includes(flag))
  if (other === undefined) return
  throw new UsageError(`'${name}' has no option --${other}`, 'ERR_PARSE_ARGS_UNKNOWN_OPTION')
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

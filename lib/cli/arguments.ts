/** Parses and checks the command line. */
import { isIPv6 } from 'node:net'
import { parseArgs } from 'node:util'
import type { Severity } from '../doctor/rule'
import { diagnosisTarget, type DiagnosisTarget } from '../doctor/diagnosis-target'
import type { DemoOptions } from '../demo/demo'
import { ArgumentTypeError, ArgumentValueError, checkWhole } from '../errors'
import { MAX_PORT } from '../kernel/proc'
import { nearest } from '../spec'
import { MERGE, mergeArguments, type MergeArguments } from './stress-merge'
import {
  stressArguments,
  stressFlagNames,
  stressFlagsHelp,
  stressParseFlags,
  type StressArguments,
} from './stress-flags'

export type Command =
  | { readonly name: 'version' }
  /** `of` is the command to explain; undefined for all. */
  | { readonly name: 'help'; readonly of: CommandName | undefined }
  | { readonly name: 'options'; readonly option: string | undefined; readonly json: boolean }
  | ({ readonly name: 'demo' } & DemoArguments)
  | ({ readonly name: 'doctor' } & DoctorArguments)
  | ({ readonly name: 'top' } & TopArguments)
  | ({ readonly name: 'life' } & LifeArguments)
  | ({ readonly name: 'stress' } & StressArguments)
  | ({ readonly name: 'stress merge' } & MergeArguments)

export interface DemoArguments extends DemoOptions {
  readonly json: boolean
}

export interface DoctorArguments {
  readonly json: boolean
  readonly target: DiagnosisTarget | undefined
  /** Print a file for /etc/sysctl.d instead of the findings. */
  readonly printSysctl: boolean
  /** A finding of this severity or a higher one makes the command fail. */
  readonly failOn: FailOn | undefined
}

export interface TopArguments {
  readonly json: boolean
  /** Print one reading and exit. */
  readonly once: boolean
  /** The time between two readings, s. */
  readonly seconds: number
  readonly targets: readonly DiagnosisTarget[]
}

export interface LifeArguments {
  readonly json: boolean
  readonly localPort: number | undefined
  readonly remotePort: number | undefined
  /** Ends after this time, s; undefined for no limit. */
  readonly seconds: number | undefined
}

/** Wrong usage: the program prints the message and exits with code 2. */
export class UsageError extends Error {
  readonly code: string

  constructor(message: string, code: string) {
    super(message)
    this.code = code
  }
}

export const MAX_CONNECTIONS = 100_000
/** Four modes of this length, and the work between them, take less than 90 s. */
export const MAX_SECONDS = 15
const DEFAULT_SECONDS = 12
const MAX_INTERVAL_S = 3_600
const MAX_LIFE_S = 86_400
const INTERVAL_S = 2
const MAX_TARGETS = 10

const failOn = ['critical', 'warning', 'advice'] as const satisfies readonly Severity[]

export type FailOn = (typeof failOn)[number]

const flags = {
  ...stressParseFlags,
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
  json: { type: 'boolean' },
  connections: { type: 'string' },
  seconds: { type: 'string' },
  loopback: { type: 'boolean' },
  target: { type: 'string', multiple: true },
  interval: { type: 'string' },
  once: { type: 'boolean' },
  'local-port': { type: 'string' },
  'remote-port': { type: 'string' },
  'print-sysctl': { type: 'boolean' },
  'fail-on': { type: 'string' },
} as const

type Flag = keyof typeof flags

const flagsOf = {
  demo: ['json', 'connections', 'seconds', 'loopback'],
  options: ['json'],
  doctor: ['json', 'target', 'print-sysctl', 'fail-on'],
  top: ['json', 'target', 'interval', 'once'],
  life: ['json', 'local-port', 'remote-port', 'seconds'],
  stress: ['json', ...stressFlagNames],
} as const satisfies Record<string, readonly Flag[]>

export type CommandName = keyof typeof flagsOf

const commandNames = Object.keys(flagsOf) as CommandName[]
/** Flags of every command, and of the program itself. */
const everywhere: readonly Flag[] = ['help', 'version']

const helpOf: Readonly<Record<CommandName, string>> = {
  demo: `  demo                 Opens and closes thousands of connections in each close mode, and prints
                       the bytes and ports that each mode cost. As root on Linux it runs in a
                       network namespace of its own, otherwise on loopback. Takes less than 90 s.
    --connections N    connections in each mode, 10 to ${String(MAX_CONNECTIONS)}
    --seconds N        time limit of each mode, 1 to ${String(MAX_SECONDS)}; default ${String(DEFAULT_SECONDS)}
    --loopback         run on loopback even as root
    --json             print the figures as JSON
`,
  options: `  options [NAME]       Lists the socket options, or describes one.
    --json             print JSON
`,
  doctor: `  doctor               Reports problems with the ports, TIME_WAIT entries and accept queues of this
                       network namespace, and the settings that fix them. Changes nothing.
    --target HOST:PORT the destination to examine; an IPv6 address in brackets: [::1]:80
    --fail-on SEVERITY exit with code 3 on a finding of this severity or a higher one:
                       ${failOn.join(', ')}
    --print-sysctl     print the settings as a file for /etc/sysctl.d, without those of severity info
    --json             print facts and findings as JSON
`,
  top: `  top                  Shows, live, the ports and TIME_WAIT entries of each destination, when its ports
                       run out, and the cost of connect(). Press q to quit.
    --target HOST:PORT show this destination too, with every address of the host; at most ${String(MAX_TARGETS)} times
    --interval N       seconds between two readings, 1 to ${String(MAX_INTERVAL_S)}; default ${String(INTERVAL_S)}
    --once             print one reading and exit
    --json             print each reading as a line of JSON
`,
  life: `  life                 Prints each TCP connection of this network namespace when it ends: its process, bytes,
                       lifetime, round-trip time and retransmits, and the end that closed it. Ctrl-C quits.
    --local-port N     print only connections with this local port
    --remote-port N    print only connections with this port of the peer
    --seconds N        quit after this time, 1 to ${String(MAX_LIFE_S)}; default: no limit
    --json             print each connection as a line of JSON

    ~ before a PID: the process listens on the local port, and is known by that only.
    MS: the lifetime, as far as it is known: at least (5+), or between two values (5-800).
    CLOSED: 'here' or 'peer' where certain; 'fin' where both ends may have been first (mostly
    the peer was); 'abort' for a RST of either end or a timeout; '-' for what is not known.
`,
  stress: `  stress [TARGET]      Puts load on a server and reports latencies, errors, TIME_WAIT and ports. TARGET is
                       an http or https URL, or HOST:PORT for raw TCP; without it, a server is started
                       on loopback. Ctrl-C ends the run with the results so far.
${stressFlagsHelp()}    --json                      print the result as JSON
  stress merge FILE…   Merges the results of several runs, of which the files have the output of --json,
                       with --json, --report, --baseline and --fail-if.
`,
}

const EXIT_CODES = 'Exit codes: 0 success, 1 failure, 2 wrong usage'

const moreCodes: Partial<Readonly<Record<CommandName, string>>> = {
  doctor: ', 3 a finding of --fail-on',
  stress: ', 3 a condition of --fail-if or of --find-rate, 128 + n ended by signal n',
}

/** The text of --help. */
export function usage(of?: CommandName): string {
  if (of !== undefined) {
    const codes = `${EXIT_CODES}${moreCodes[of] ?? ''}`
    return `Usage: socket-tuner ${of} [OPTIONS]\n\n${helpOf[of]}\n${codes}.\n`
  }
  const all = commandNames.map((name) => helpOf[name]).join('\n')
  return `Usage: socket-tuner <command>

${all}
  help [COMMAND]       Prints this text, or the part about one command.
  -h, --help           the same
  -v, --version        print the version

${EXIT_CODES}, 3 a finding of doctor --fail-on or a condition of stress --fail-if or
--find-rate.
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
      `A command is missing: use one of ${commandNames.join(', ')}`,
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
  if (name === 'stress') {
    const [target, ...files] = others
    try {
      if (target === MERGE) return { name: 'stress merge', ...mergeArguments(values, files) }
      refuseRest(name, others, 1)
      return { name, ...stressArguments(values, target) }
    } catch (error) {
      throw error instanceof UsageError ? error : asUsageError(error)
    }
  }
  refuseRest(name, others, 0)
  if (name === 'doctor') return { name, json, ...doctorArguments(values) }
  if (name === 'top') return { name, json, ...topArguments(values) }
  if (name === 'life') return { name, json, ...lifeArguments(values) }
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
    meant === undefined ? `use one of ${commandNames.join(', ')}` : `did you mean '${meant}'?`
  throw new UsageError(`'${text}' is not a command; ${hint}`, 'ERR_INVALID_ARG_VALUE')
}

function doctorArguments(
  values: ReturnType<typeof parse>['values'],
): Omit<DoctorArguments, 'json'> {
  const printSysctl = values['print-sysctl'] === true
  if (printSysctl && values.json === true) {
    throw new UsageError('--print-sysctl and --json cannot be combined', 'ERR_INVALID_ARG_VALUE')
  }
  const [target] = targetsOf(values.target, 1)
  return { printSysctl, target, failOn: severityOf(values['fail-on']) }
}

function severityOf(text: string | undefined): FailOn | undefined {
  const severity = failOn.find((each) => each === text)
  if (text === undefined || severity !== undefined) return severity
  throw new UsageError(
    `--fail-on must be one of: ${failOn.join(', ')}. Received '${text}'`,
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

function lifeArguments(values: ReturnType<typeof parse>['values']): Omit<LifeArguments, 'json'> {
  return {
    localPort: whole('--local-port', values['local-port'], 1, MAX_PORT),
    remotePort: whole('--remote-port', values['remote-port'], 1, MAX_PORT),
    seconds: whole('--seconds', values.seconds, 1, MAX_LIFE_S),
  }
}

function targetsOf(texts: readonly string[] = [], most: number): DiagnosisTarget[] {
  if (texts.length > most) {
    throw new UsageError(
      `--target can be used at most ${most === 1 ? 'once' : `${String(most)} times`}`,
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
      'must be host:port with a numeric port; write an IPv6 address in brackets: [::1]:80',
      text,
    )
  } catch (error) {
    throw asUsageError(error)
  }
}

function parse(args: readonly string[]) {
  const all = { args: [...args], options: flags, allowPositionals: true } as const
  // Names are checked here first: the errors of parseArgs() do not suggest the nearest name.
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

/** Refuses a flag that no command has. */
function refuseFlag(rawName: string, command: CommandName | undefined): never {
  const known = command === undefined ? Object.keys(flags) : [...flagsOf[command], ...everywhere]
  const meant = nearest(rawName.replace(/^-+/, ''), known)
  const hint = meant === undefined ? `its options are ${listOf(known)}` : `did you mean --${meant}?`
  const has = command === undefined ? 'socket-tuner has no option' : `'${command}' has no option`
  throw new UsageError(`${has} ${rawName}; ${hint}`, 'ERR_PARSE_ARGS_UNKNOWN_OPTION')
}

/** Refuses a flag of another command. */
function refuseOthers(name: CommandName, values: object): void {
  const allowed: readonly string[] = [...flagsOf[name], ...everywhere]
  const other = Object.keys(values).find((flag) => !allowed.includes(flag))
  if (other === undefined) return
  throw new UsageError(
    `'${name}' has no option --${other}; its options are ${listOf(flagsOf[name])}`,
    'ERR_PARSE_ARGS_UNKNOWN_OPTION',
  )
}

function listOf(names: readonly string[]): string {
  return names.map((name) => `--${name}`).join(', ')
}

function refuseRest(name: string, rest: readonly string[], most: number): void {
  const extra = rest[most]
  if (extra === undefined) return
  throw new UsageError(
    `'${name}' takes no argument '${extra}'`,
    'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL',
  )
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

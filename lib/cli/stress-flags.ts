/** The flags of `socket-tuner stress`, each with the option of stress() that it sets. */
import { closeModeNames } from '../close/modes'
import { ArgumentValueError } from '../errors'
import { choiceOf, compareOptions, stressWays } from '../stress/compare'
import type {
  CompareOptions,
  FindRateOptions,
  StressOptions,
  StressResult,
  StressWay,
} from '../stress'
import { checkBaseline } from '../stress/baseline'
import { checkFindRate } from '../stress/find-rate'
import { checkStress } from '../stress/options'
import { planOf } from '../stress/plan'
import { metricNames, parseThreshold, type Threshold } from '../stress/threshold'
import {
  asText,
  fileOfFlag,
  expected,
  first,
  headers,
  jsonIn,
  rate,
  settings,
  time,
  unescaped,
  whole,
} from './stress-values'
import { wrap } from './text'

/** The parsed command line of `socket-tuner stress`. */
export interface StressArguments {
  readonly json: boolean
  /** Without a target, the command starts a server of its own. */
  readonly options: Omit<StressOptions, 'target' | 'signal'>
  readonly target: string | undefined
  readonly failIf: readonly Threshold[]
  /** The result of an earlier run with the same plan. */
  readonly baseline: StressResult | undefined
  /** The file of the HTML report. */
  readonly report: string | undefined
  /** The ways to compare; undefined for a single run. */
  readonly compare: Pick<CompareOptions, 'ways' | 'rounds'> | undefined
  /** The search for the highest rate; undefined for a single run. */
  readonly search: StressSearchArguments | undefined
}

export interface StressSearchArguments extends Pick<FindRateOptions, 'rounds'> {
  readonly condition: string
}

interface StressFlag {
  /** The option that it sets; undefined for flags of the command itself. */
  readonly option: keyof StressOptions | undefined
  /** The value in the help; undefined for a flag without one. */
  readonly value?: string
  readonly multiple?: boolean
  readonly help: string
  /** @param texts the values, in their order @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE */
  readonly parse?: (argument: string, texts: readonly string[]) => unknown
}

const flagList = {
  connections: {
    option: 'connections',
    value: 'N',
    help: 'connections at a time; default 50',
    parse: whole,
  },
  rate: {
    option: 'ratePerSecond',
    value: 'N[/s]',
    help: 'requests per second, which start whether the target answers or not (open loop). Default: each connection sends its next request when it has the answer (closed loop)',
    parse: rate,
  },
  arrivals: {
    option: 'arrivals',
    value: 'KIND',
    help: 'constant or poisson: the times between the requests of --rate',
    parse: asText,
  },
  'connection-rate': {
    option: 'connectionsPerSecond',
    value: 'N[/s]',
    help: 'the most connections that are opened per second; requests wait for them. Default: no limit',
    parse: rate,
  },
  workers: {
    option: 'workers',
    value: 'N',
    help: 'processes that share the load, for more of it than one process can make; default 1',
    parse: whole,
  },
  duration: {
    option: 'durationMs',
    value: 'TIME',
    help: '500ms, 10s, 2m; default 10s, or no limit with --amount',
    parse: time,
  },
  amount: { option: 'amount', value: 'N', help: 'end after N requests', parse: whole },
  warmup: {
    option: 'warmupMs',
    value: 'TIME',
    help: 'send requests for this time before counting; default 0',
    parse: time,
  },
  timeout: {
    option: 'timeoutMs',
    value: 'TIME',
    help: 'for a connection, and for an answer; default 10s',
    parse: time,
  },
  'requests-per-connection': {
    option: 'requestsPerConnection',
    value: 'N',
    help: 'requests before a connection is closed, or keep-alive; default 1',
    parse: first((argument, text) => (text === 'keep-alive' ? text : whole(argument, [text]))),
  },
  close: {
    option: 'close',
    value: 'MODE',
    help: `${closeModeNames.join(', ')}, or server: the target closes first; default deliver, which leaves no TIME_WAIT`,
    parse: asText,
  },
  source: {
    option: 'source',
    value: 'ADDRESS',
    multiple: true,
    help: 'an address of this host to connect from; may be repeated',
    parse: (_argument: string, texts: readonly string[]) => texts,
  },
  set: {
    option: 'settings',
    value: 'OPTION=VALUE',
    multiple: true,
    help: 'a socket option of the connections; may be repeated',
    parse: settings,
  },
  'port-wait': {
    option: 'portWaitMs',
    value: 'TIME',
    help: 'the time that a connection waits for a free port; default 0',
    parse: time,
  },
  method: { option: 'method', value: 'METHOD', help: 'default GET', parse: asText },
  header: {
    option: 'headers',
    value: "'NAME: VALUE'",
    multiple: true,
    help: 'may be repeated',
    parse: headers,
  },
  body: { option: 'body', value: 'TEXT', help: 'the body of each request', parse: asText },
  send: {
    option: 'send',
    value: 'BYTES',
    help: 'what a raw TCP connection sends; \\r \\n \\t \\0 \\xHH are bytes',
    parse: first((_argument, text) => unescaped(text)),
  },
  expect: {
    option: 'expect',
    value: 'BYTES|N',
    help: 'its answer, or the length of its answer; default: any bytes',
    parse: expected,
  },
  ca: {
    option: 'ca',
    value: 'FILE',
    help: 'certificate authorities to trust, PEM',
    parse: first(fileOfFlag),
  },
  servername: {
    option: 'servername',
    value: 'NAME',
    help: 'the name that the certificate must have',
    parse: asText,
  },
  alpn: {
    option: 'alpnProtocols',
    value: 'LIST',
    help: 'the protocols that a TLS server is offered, separated by commas; default http/1.1 for https, none for tls',
    parse: first((_argument, text) =>
      text === '' ? [] : text.split(',').map((each) => each.trim()),
    ),
  },
  insecure: { option: 'rejectUnauthorized', help: 'accept any certificate', parse: () => false },
  compare: {
    option: undefined,
    value: 'LIST',
    help: `compare ways to end connections, in alternating rounds of --duration (default 2s): ${stressWays.join(', ')}, separated by commas`,
  },
  'find-rate': {
    option: undefined,
    value: 'CONDITION',
    help: "search for the highest rate at which it is true, such as 'p99<20ms', in rounds of --duration (default 2s) that begin with --rate (default 100/s)",
  },
  rounds: {
    option: undefined,
    value: 'N',
    help: 'rounds of --compare, default 5; the most rounds of --find-rate, default 12',
  },
  report: {
    option: undefined,
    value: 'FILE.html',
    help: 'write the result with charts, as one HTML file',
  },
  baseline: {
    option: undefined,
    value: 'RUN.json',
    help: 'compare with an earlier run of the same plan, of which this file has the output of --json',
  },
  'fail-if': {
    option: undefined,
    value: 'CONDITION',
    multiple: true,
    help: `exit with code 3 if it is true: 'invalid', a comparison such as 'p99>20ms', or a ratio to --baseline such as 'p99>1.2x'; may be repeated. Names: ${metricNames.join(', ')}`,
  },
} as const satisfies Readonly<Record<string, StressFlag>>

export const stressFlags: Readonly<Record<keyof typeof flagList, StressFlag>> = flagList

export type StressFlagName = keyof typeof flagList

export const stressFlagNames = Object.keys(flagList) as StressFlagName[]

type ParseFlag<F> = F extends { value: string }
  ? F extends { multiple: true }
    ? { type: 'string'; multiple: true }
    : { type: 'string' }
  : { type: 'boolean' }

/** The flags in the form of Node's parseArgs(). */
export const stressParseFlags = Object.fromEntries(
  Object.entries(stressFlags).map(([name, { value, multiple = false }]) => [
    name,
    value === undefined ? { type: 'boolean' } : { type: 'string', ...(multiple && { multiple }) },
  ]),
) as { readonly [K in StressFlagName]: ParseFlag<(typeof flagList)[K]> }

const COLUMN = 32

/** The lines of the help about the flags. */
export function stressFlagsHelp(): string {
  const lines = Object.entries(stressFlags).flatMap(([name, { value, help }]) => {
    const flag = `    --${name}${value === undefined ? '' : ` ${value}`} `
    return wrap(help, flag.padEnd(COLUMN))
  })
  return `${lines.join('\n')}\n`
}

/** Stands for the command's own server, which does not listen yet when the options are checked. */
const PLACEHOLDER = 'http://127.0.0.1:1/'

/**
 * @param values what parseArgs() found
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; what readFileSync() throws
 */
export function stressArguments(
  values: Readonly<Record<string, unknown>>,
  target: string | undefined,
): StressArguments {
  const options: Record<string, unknown> = {}
  for (const name of stressFlagNames) {
    const { option, parse } = stressFlags[name]
    const value = values[name]
    if (option === undefined || parse === undefined || value === undefined) continue
    const texts = Array.isArray(value) ? (value as string[]) : [value as string]
    options[option] = parse(`--${name}`, texts)
  }
  const { report, baseline: file } = values as { report?: string; baseline?: string }
  const thresholds = thresholdsIn(values)
  const comparison = comparisonIn(values)
  const search = searchIn(values)
  if (values.rounds !== undefined && comparison === undefined && search === undefined)
    throw new ArgumentValueError('--rounds', 'needs --compare or --find-rate', values.rounds)
  try {
    if (comparison !== undefined) {
      refuseWith('--compare', values, ['find-rate', 'fail-if', 'baseline'])
      for (const name of ['close', 'amount'] as const)
        if (options[name] !== undefined)
          throw new ArgumentValueError(
            `--${name}`,
            'cannot be combined with --compare',
            options[name],
          )
      compareOptions.check('options', { ...options, ...comparison, target: target ?? PLACEHOLDER })
    }
    if (search !== undefined) {
      refuseWith('--find-rate', values, ['fail-if', 'baseline', 'report'])
      const { condition, rounds } = search
      checkFindRate({ ...options, rounds, target: target ?? PLACEHOLDER }, '--find-rate', condition)
    } else {
      for (const choice of choicesIn(comparison))
        checkStress({ ...options, ...choice, target: target ?? PLACEHOLDER })
    }
  } catch (error) {
    throw inFlags(error as Error)
  }
  return {
    json: values.json === true,
    options,
    target,
    failIf: thresholds,
    baseline:
      file === undefined
        ? undefined
        : baselineIn(file, { ...options, target: target ?? PLACEHOLDER }),
    report,
    compare: comparison,
    search,
  }
}

/** The conditions of --fail-if. @throws ERR_INVALID_ARG_VALUE */
export function thresholdsIn(values: Readonly<Record<string, unknown>>): Threshold[] {
  const failIf = (values['fail-if'] as readonly string[] | undefined) ?? []
  const thresholds = failIf.map((text) => parseThreshold('--fail-if', text))
  const ratio = thresholds.find(({ isRatio }) => isRatio)
  if (ratio !== undefined && values.baseline === undefined)
    throw new ArgumentValueError('--fail-if', 'needs --baseline for a ratio', ratio.text)
  return thresholds
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE */
function comparisonIn(values: Readonly<Record<string, unknown>>): StressArguments['compare'] {
  const { compare } = values as { compare?: string }
  if (compare === undefined) return undefined
  const ways = compare.split(',').map((each) => each.trim()) as StressWay[]
  return { ways, ...roundsIn(values) }
}

/** @throws ERR_INVALID_ARG_TYPE */
function searchIn(values: Readonly<Record<string, unknown>>): StressSearchArguments | undefined {
  const condition = values['find-rate'] as string | undefined
  return condition === undefined ? undefined : { condition, ...roundsIn(values) }
}

/** @throws ERR_INVALID_ARG_TYPE */
function roundsIn({ rounds }: Readonly<Record<string, unknown>>): { rounds?: number } {
  return rounds === undefined ? {} : { rounds: whole('--rounds', [rounds as string]) as number }
}

/** @throws ERR_INVALID_ARG_VALUE for a flag that cannot be combined with another one, or with a subcommand */
export function refuseWith(
  flag: string,
  values: Readonly<Record<string, unknown>>,
  names: readonly StressFlagName[],
): void {
  const name = names.find((each) => values[each] !== undefined)
  if (name === undefined) return
  throw new ArgumentValueError(`--${name}`, `cannot be combined with ${flag}`, values[name])
}

/**
 * @param options those of the run that is to be compared
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; what readFileSync() throws
 */
function baselineIn(file: string, options: StressOptions): StressResult {
  return checkBaseline('--baseline', jsonIn('--baseline', file), planOf(checkStress(options)))
}

/** The options that differ between the runs. */
function choicesIn(comparison: StressArguments['compare']): Partial<StressOptions>[] {
  return comparison === undefined ? [{}] : comparison.ways.map((each) => choiceOf(each))
}

/** Replaces the names of options in a message by those of flags. */
function inFlags(error: Error): Error {
  const { code } = error as NodeJS.ErrnoException
  const message = error.message
    .replace(/^The property 'options/, "The argument 'options")
    .replace(/options\.target/g, 'TARGET')
    .replace(/options\.(\w+)/g, (whole_, option: string) => {
      if (option === 'ways') return '--compare'
      const name = stressFlagNames.find(
        (each) => each === option || stressFlags[each].option === option,
      )
      return name === undefined ? whole_ : `--${name}`
    })
    .replace(/\b[a-z]+[A-Z]\w+\b/g, (option) => {
      const name = stressFlagNames.find((each) => stressFlags[each].option === option)
      return name === undefined ? option : `--${name}`
    })
    .replace(/\b(needs?) (\w+)/, (whole_, needs: string, option: string) => {
      const name = stressFlagNames.find((each) => stressFlags[each].option === option)
      return name === undefined ? whole_ : `${needs} --${name}`
    })
  const [, flag] = /"--([\w-]+)" is out of range/.exec(message) ?? []
  const isTime = flag !== undefined && stressFlags[flag as StressFlagName].value === 'TIME'
  return Object.assign(new Error(isTime ? `${message} ms` : message), { code })
}

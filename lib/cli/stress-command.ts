/** `socket-tuner stress`: runs stress() and prints its result. */
import { constants as os } from 'node:os'
import {
  compareWithBaseline,
  preflight,
  reportHtml,
  stress,
  type CompareOptions,
  type FindRateOptions,
  type StressComparison,
  type StressOptions,
  type StressResult,
} from '../stress'
import { compareOn, compareOptions } from '../stress/compare'
import { findRateWith } from '../stress/find-rate'
import { checkStress } from '../stress/options'
import { startOwnServer } from '../stress/own-server'
import { planOf } from '../stress/plan'
import { reportFile } from './report-file'
import type { StressArguments, StressSearchArguments } from './stress-flags'
import { comparisonReport, turnCells } from './stress-comparison'
import { StressProgress } from './stress-progress'
import { rateText, searchCells, searchReport } from './stress-search'
import { stressReport } from './stress-report'
import { wrap } from './text'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The exit code for a condition of --fail-if that is true, and for one of --find-rate that holds at no rate. */
const CONDITION_MET = 3

/**
 * Returns the exit code.
 *
 * @throws (as a rejection) what stress() throws
 */
export async function runStress(command: StressArguments): Promise<number> {
  const abort = new AbortController()
  let received: (typeof SIGNALS)[number] | undefined
  let progress: StressProgress | undefined
  const stop = (signal: (typeof SIGNALS)[number]): void => {
    // The second one does not wait for the result.
    if (received !== undefined) process.exit(128 + os.signals[signal])
    received = signal
    abort.abort()
    progress?.ending()
  }
  for (const signal of SIGNALS) process.on(signal, stop)
  const { compare: comparison, search } = command
  // Before the load: an unwritable path must not cost a run.
  const file = command.report === undefined ? undefined : reportFile(command.report)
  const server =
    command.target === undefined ? await startOwnServer(comparison?.ways.length ?? 1) : undefined
  try {
    const target = command.target ?? server?.urls[0] ?? ''
    const options = { ...command.options, target, signal: abort.signal }
    // The rounds of the others have other plans.
    const notes = comparison === undefined && search === undefined ? await warn(options) : []
    progress = new StressProgress(command.json, notes, () => {
      stop('SIGINT')
    })
    const { code, text, result } = await measureOf(command, server?.urls)(options, progress)
    progress.end()
    const ownCode = code()
    // Set before the output is written: its reader may have closed the pipe.
    process.exitCode = received === undefined ? ownCode : 128 + os.signals[received]
    process.stdout.write(text)
    // Last: a full disk must not cost the figures.
    if (result !== undefined) await file?.write(reportHtml(result))
    return process.exitCode
  } finally {
    progress?.end()
    await server?.stop()
    for (const signal of SIGNALS) process.off(signal, stop)
  }
}

/** The output of the command at its end. */
interface Measured {
  /** The exit code. Prints its reasons, so it is called when the terminal is restored. */
  readonly code: () => number
  readonly text: string
  /** The result for a report; undefined for a search, which has none. */
  readonly result?: StressResult | StressComparison
}

/** Measures, and shows the progress until then. */
type Measure = (options: StressOptions, progress: StressProgress) => Promise<Measured>

function measureOf(command: StressArguments, targets: readonly string[] | undefined): Measure {
  const { compare, search, json } = command
  if (compare !== undefined)
    return (options, progress) => measureAll({ ...options, ...compare }, json, targets, progress)
  if (search !== undefined)
    return (options, progress) => measureRates(options, search, json, progress)
  return (options, progress) => measure(options, command, progress)
}

async function measure(
  options: StressOptions,
  command: StressArguments,
  progress: StressProgress,
): Promise<Measured> {
  const run = stress(options)
  await progress.follow(run, options.target, planOf(checkStress(options)))
  const measured = await run.result
  const { baseline } = command
  const result =
    baseline === undefined
      ? measured
      : { ...measured, baseline: compareWithBaseline(measured, baseline) }
  const text = command.json ? JSON.stringify(result) : `\n${stressReport(result)}`
  return {
    code: () => stressExitCode(result, command),
    text: command.json ? `${text}\n` : text,
    result,
  }
}

async function measureAll(
  options: CompareOptions,
  json: boolean,
  targets: readonly string[] | undefined,
  progress: StressProgress,
): Promise<Measured> {
  const { ways, rounds } = compareOptions.check('options', options)
  let turns = 0
  const comparison = compareOn(options, targets, ({ way, round, plan, run }) => {
    const name =
      round === 0 ? `before round 1: ${way}` : `round ${String(round)} of ${String(rounds)}: ${way}`
    const place = { name, ended: turns++, of: (rounds + 1) * ways.length }
    void progress.follow(run, targets?.[ways.indexOf(way)] ?? options.target, plan, place)
  })
  for await (const turn of comparison) progress.round(turnCells(turn))
  const result = await comparison.result
  const text = json ? `${JSON.stringify(result)}\n` : `\n${comparisonReport(result)}`
  return { code: () => 0, text, result }
}

async function measureRates(
  options: FindRateOptions,
  { condition, rounds }: StressSearchArguments,
  json: boolean,
  progress: StressProgress,
): Promise<Measured> {
  let begun = 0
  const search = findRateWith({ ...options, rounds }, condition, (run, plan, mostRounds) => {
    const rate = rateText(plan.ratePerSecond ?? 0)
    const place = { ended: begun++, of: mostRounds }
    const name = `round ${String(begun)} of at most ${String(mostRounds)}: ${rate}`
    void progress.follow(run, options.target, plan, { ...place, name })
  })
  for await (const round of search) progress.round(searchCells(round))
  const result = await search.result
  const text = json ? `${JSON.stringify(result)}\n` : `\n${searchReport(result)}`
  return { code: () => (result.ratePerSecond === null ? CONDITION_MET : 0), text }
}

/** Prints a warning of each resource that will run out. @returns the same for the panel */
async function warn(options: StressOptions): Promise<string[]> {
  const findings = await preflight(options)
  for (const { severity, message } of findings)
    process.stderr.write(`${wrap(message, `${severity}: `).join('\n')}\n`)
  return findings.map(({ severity, message }) => `${severity}: ${message}`)
}

/** The exit code by the conditions of --fail-if. Names those that are true. */
export function stressExitCode(
  result: StressResult,
  { failIf, baseline }: Pick<StressArguments, 'failIf' | 'baseline'>,
): number {
  const reasons = failIf.flatMap((threshold) => {
    // A run without answers has no p99. An unknown figure must not pass as a good one.
    if (threshold.valueIn(result, baseline) === null) return [`${threshold.text}: it is not known`]
    const value = threshold.exceededBy(result, baseline)
    return value === undefined ? [] : [`${threshold.text}: it is ${threshold.show(value)}`]
  })
  for (const reason of reasons) process.stderr.write(`--fail-if ${reason}\n`)
  return reasons.length === 0 ? 0 : CONDITION_MET
}

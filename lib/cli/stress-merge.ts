/** `socket-tuner stress merge`: merges the results of several runs and prints the result. */
import { ArgumentValueError } from '../errors'
import { compareWithBaseline, mergeResults, reportHtml, type StressResult } from '../stress'
import { checkBaseline } from '../stress/baseline'
import type { Threshold } from '../stress/threshold'
import { reportFile } from './report-file'
import { stressExitCode } from './stress-command'
import { refuseWith, stressFlagNames, thresholdsIn } from './stress-flags'
import { stressReport } from './stress-report'
import { jsonIn } from './stress-values'

/** The first argument of `socket-tuner stress`. No target has this name: a target has a port. */
export const MERGE = 'merge'

/** The parsed command line of `socket-tuner stress merge`. */
export interface MergeArguments {
  readonly json: boolean
  /** The merged result of the files. */
  readonly result: StressResult
  readonly failIf: readonly Threshold[]
  readonly baseline: StressResult | undefined
  /** The file of the HTML report. */
  readonly report: string | undefined
}

/** The flags of `socket-tuner stress` that are not about the run itself. */
const allowed: readonly string[] = ['report', 'baseline', 'fail-if']

/**
 * @param values what parseArgs() found
 * @param files each has the output of --json of a run
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE; what readFileSync() throws
 */
export function mergeArguments(
  values: Readonly<Record<string, unknown>>,
  files: readonly string[],
): MergeArguments {
  refuseWith(
    `stress ${MERGE}`,
    values,
    stressFlagNames.filter((name) => !allowed.includes(name)),
  )
  if (files.length < 2)
    throw new ArgumentValueError('FILE', 'must name the JSON of two runs or more', files)
  const failIf = thresholdsIn(values)
  const result = mergedOf(files)
  const { report, baseline } = values as { report?: string; baseline?: string }
  return {
    json: values.json === true,
    result,
    failIf,
    baseline:
      baseline === undefined
        ? undefined
        : checkBaseline('--baseline', jsonIn('--baseline', baseline), result.plan),
    report,
  }
}

function mergedOf(files: readonly string[]): StressResult {
  const results = files.map((file) => jsonIn(file, file))
  try {
    return mergeResults(results as StressResult[])
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    // The names of the files say more than their numbers.
    const named = message.replace(/results\[(\d+)\]/g, (_, at: string) => files[Number(at)] ?? at)
    throw Object.assign(new Error(named), { code })
  }
}

/**
 * Returns the exit code.
 *
 * @throws (as a rejection) what a write of the report throws
 */
export async function runMerge(command: MergeArguments): Promise<number> {
  const { baseline, json, result: merged } = command
  const file = command.report === undefined ? undefined : reportFile(command.report)
  const result =
    baseline === undefined ? merged : { ...merged, baseline: compareWithBaseline(merged, baseline) }
  process.exitCode = stressExitCode(result, command)
  process.stdout.write(json ? `${JSON.stringify(result)}\n` : stressReport(result))
  await file?.write(reportHtml(result))
  return process.exitCode
}

import { ArgumentTypeError, ArgumentValueError, isObject } from '../../errors'
import type { StressComparison } from '../compare'
import { SCHEMA_VERSION, type StressResult } from '../result'
import { percentileChart, timeCharts } from './charts'
import { comparisonPage } from './comparison'
import { durationText } from './figure-text'
import { html } from './html'
import { chartSection, moment, pageText, type Page } from './page'
import { errors, generator, kernel, phases, plan, ratios, summary, verdict } from './sections'
import { pointsOf } from './series'
import { workersTable } from './workers'

/**
 * Makes a page of the result of a run or of a comparison: one HTML file that needs no network, with charts, a table of
 * the values of each, and the result itself as JSON in the element with the id `result`.
 *
 * @param result what `run.result` resolves to, or the same from JSON
 * @throws ERR_INVALID_ARG_TYPE; ERR_INVALID_ARG_VALUE for a result of another schema version
 */
export function reportHtml(result: StressResult | StressComparison): string {
  checkResult(result)
  return pageText('ways' in result ? comparisonPage(result) : runPage(result))
}

function runPage(result: StressResult): Page {
  const [rate, ...others] = timeCharts(pointsOf(result.series), result)
  const charts = [rate, percentileChart(result), ...others].filter((each) => each !== undefined)
  const { baseline } = result
  const { url } = result.target
  return {
    title: `Stress test of ${url}`,
    heading: html`Stress test of <span class="url">${url}</span>`,
    lead: html`<p>${moment(result.startedAt)}, ${durationText(1_000 * result.seconds)} measured</p>
      ${verdict(result)}`,
    sections: [
      { id: 'summary', title: 'Summary', content: summary(result) },
      ...(baseline === undefined
        ? []
        : [{ id: 'baseline', title: 'Baseline', content: ratios(baseline) }]),
      ...charts.map(chartSection),
      { id: 'phases', title: 'Phases', content: phases(result) },
      { id: 'errors', title: 'Errors', content: errors(result) },
      { id: 'kernel', title: 'Closes and the kernel', content: kernel(result) },
      { id: 'generator', title: 'Generator', content: generator(result) },
      ...(result.workers.length === 0
        ? []
        : [{ id: 'workers', title: 'Workers', content: workersTable(result.workers) }]),
      { id: 'plan', title: 'Plan', content: plan(result) },
    ],
    charts: charts.map(({ chart }) => chart),
    result,
  }
}

function checkResult(result: unknown): void {
  if (!isObject(result)) throw new ArgumentTypeError('result', 'a result of stress()', result)
  const { schemaVersion } = result
  if (schemaVersion !== SCHEMA_VERSION)
    throw new ArgumentValueError(
      'result.schemaVersion',
      `must be ${String(SCHEMA_VERSION)}`,
      schemaVersion,
    )
}

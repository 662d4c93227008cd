import { createHash } from 'node:crypto'
import {
  compare,
  compareWithBaseline,
  reportHtml,
  type StressComparison,
  type StressResult,
} from '../../lib/stress'
import { failureOf } from '../sockets'
import { httpTarget, resultOf } from './servers'
import {
  chartsIn,
  comparisonWith,
  dataIn,
  distributionOf,
  resultWith,
  snapshotWith,
} from './report-results'

const HOSTILE = `"'><script>bad()</script><img src=x onerror=bad()></style><!--</title>&lt;`

/** The result with every string and every status replaced by `text`. */
function withText(result: StressResult, text: string): StressResult {
  const replaced = (value: unknown): unknown => {
    if (typeof value === 'string') return text
    if (Array.isArray(value)) return value.map(replaced)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, replaced(each)]))
  }
  const all = replaced(result) as StressResult
  return { ...all, requests: { ...all.requests, byStatus: { [text]: 1 } } }
}

/** Counts each character that can be markup outside of the embedded data. */
function markupIn(page: string): Record<string, number> {
  const rest = page.replace(/(<script type="application\/json"[^>]*>).*?(?=<\/script>)/gs, '$1')
  return Object.fromEntries(
    ['<', '>', '"', "'"].map((character) => [character, rest.split(character).length - 1]),
  )
}

/** The rows of a chart's table: the first column, then the unrounded figures. */
function rowsIn(page: string, id: string): [string, ...(number | null)[]][] {
  const [, section = ''] = page.split(`<section id="${id}-section"`)
  const [, body = ''] = /<tbody>(.*?)<\/tbody>/s.exec(section) ?? []
  return [...body.matchAll(/<tr>(.*?)<\/tr>/gs)].map(([, row = '']) => {
    const [, head = ''] = /<th scope="row">(.*?)<\/th>/s.exec(row) ?? []
    const cells = [...row.matchAll(/<data value="([^"]*)"|class="unknown"/g)]
    return [head.trim(), ...cells.map(([, value]) => (value === undefined ? null : Number(value)))]
  })
}

describe('reportHtml()', () => {
  it('contains the result as JSON', async () => {
    const { url } = await httpTarget()
    const result = await resultOf({ target: url, amount: 50, snapshotMs: 10 })
    expect(dataIn(reportHtml(result), 'result')).toEqual(result)
  })

  it('makes the same page from a result that was read from JSON', () => {
    const result = resultWith()
    expect(reportHtml(JSON.parse(JSON.stringify(result)) as StressResult)).toBe(reportHtml(result))
  })

  it.each([undefined, null, 'result', []])('refuses %p', (value) => {
    expect(failureOf(() => reportHtml(value as never)).code).toBe('ERR_INVALID_ARG_TYPE')
  })

  it('refuses a result of another schema version', () => {
    const failure = failureOf(() => reportHtml({ ...resultWith(), schemaVersion: 2 as never }))
    expect(failure.code).toBe('ERR_INVALID_ARG_VALUE')
    expect(failure.message).toContain('result.schemaVersion')
  })

  it('shows each text of a result as text, whatever it contains', () => {
    const result = resultWith({
      valid: false,
      limits: [{ code: 'ports', message: 'no port was free' }],
      series: [snapshotWith({ stage: 'warm-up' }), snapshotWith({ second: 2 })],
    })
    const [harmless, page] = ['harmless', HOSTILE].map((text) =>
      reportHtml(withText(result, text)),
    ) as [string, string]
    expect(markupIn(page)).toEqual(markupIn(harmless))
    expect(page).not.toContain('<img')
    expect(page).toContain('&quot;&#39;&gt;&lt;script&gt;bad()&lt;/script&gt;')
    expect(dataIn(page, 'result')).toEqual(withText(result, HOSTILE))
  })

  it('allows the script and the styles of the page only', () => {
    const page = reportHtml(resultWith())
    const [, policy = ''] = /Content-Security-Policy"\s+content="([^"]*)"/.exec(page) ?? []
    const hashOf = (text: string): string => createHash('sha256').update(text).digest('base64')
    const [, script = ''] = /<script>(.*?)<\/script>/s.exec(page) ?? []
    const [, styles = ''] = /<style>(.*?)<\/style>/s.exec(page) ?? []
    const directives = policy.replaceAll('&#39;', "'").split('; ')
    expect(directives).toContain("default-src 'none'")
    expect(directives).toContain(`script-src 'sha256-${hashOf(script)}'`)
    expect(directives).toContain(`style-src 'sha256-${hashOf(styles)}'`)
    expect(policy).not.toContain('unsafe')
  })

  it('refers to nothing outside of the page', () => {
    const page = reportHtml(resultWith())
    const markup = page.replace(/<(script|style)\b.*?<\/\1>/gs, '')
    expect(markup).not.toMatch(/\b(src|srcset|action|data|poster)=|<link|<base|<iframe|style=/)
    const links = [...markup.matchAll(/href="([^"]*)"/g)].map(([, link]) => link)
    expect(links.length).toBeGreaterThan(5)
    for (const link of links) expect(page).toContain(`id="${String(link).slice(1)}"`)
    expect(page).not.toMatch(/@import|url\(/)
  })

  it('contains the licence of uPlot', () => {
    const [, script = ''] = /<script>(.*?)<\/script>/s.exec(reportHtml(resultWith())) ?? []
    expect(script).toContain('The MIT License (MIT)')
    expect(script).toContain('THE SOFTWARE IS PROVIDED "AS IS"')
  })

  it('says that a run is valid, or why it is not', () => {
    expect(reportHtml(resultWith())).toContain('<strong>Valid.</strong>')
    const page = reportHtml(
      resultWith({
        valid: false,
        limits: [
          { code: 'ports', message: 'No port was free 12 times.' },
          { code: 'unsent', message: '7 requests were not sent.' },
        ],
      }),
    )
    expect(page).toContain('<strong>Invalid.</strong>')
    expect(page).not.toContain('<strong>Valid.</strong>')
    expect(page).toContain('No port was free 12 times.')
    expect(page).toContain('7 requests were not sent.')
  })

  it('says that a run was aborted', () => {
    expect(reportHtml(resultWith({ ended: 'aborted' }))).toContain('The run was aborted.')
    expect(reportHtml(resultWith())).not.toContain('The run was aborted.')
  })

  it('draws the figures of its tables', () => {
    const series = [
      snapshotWith({ second: 0.5, intervalMs: 500, answered: 100, timeWait: null }),
      snapshotWith({ second: 1.5, answered: 0, failed: 9, portsFree: 27_000 }),
    ]
    const page = reportHtml(resultWith({ series }))
    const charts = chartsIn(page)
    expect(Object.keys(charts)).toEqual([
      'rate',
      'percentiles',
      'latency',
      'ports',
      'connections',
      'event-loop',
    ])
    expect(charts.rate).toMatchObject({
      x: { kind: 'seconds', values: [0.5, 1.5] },
      lines: [
        { name: 'answered', values: [200, 0] },
        { name: 'failed', values: [4, 9] },
        { name: 'connections opened', values: [100, 50] },
      ],
    })
    expect(charts.latency?.lines[2]).toEqual({ name: 'p99', values: [40.123, null] })
    expect(charts.ports?.lines).toEqual([
      { name: 'TIME_WAIT', values: [null, 400] },
      { name: 'free ports', values: [28_000, 27_000] },
    ])
    expect(rowsIn(page, 'rate')).toEqual([
      ['0.5', 200, 4, 100],
      ['1.5', 0, 9, 50],
    ])
    expect(rowsIn(page, 'latency')).toEqual([
      ['0.5', 1.25, 2.5, 40.123, 90, 100],
      ['1.5', null, null, null, null, null],
    ])
    expect(rowsIn(page, 'ports')).toEqual([
      ['0.5', null, 28_000],
      ['1.5', 400, 27_000],
    ])
    expect(rowsIn(page, 'percentiles').map(([name]) => name)).toEqual([
      ...['min', 'p50', 'p75', 'p90', 'p95', 'p99', 'p99.9', 'p99.99', 'max'],
    ])
  })

  it('has no rate for an interval that is too short for one', () => {
    const series = [
      snapshotWith({ answered: 100 }),
      snapshotWith({ second: 1.2, intervalMs: 200, answered: 30 }),
      snapshotWith({ second: 1.201, intervalMs: 1, answered: 8, stage: 'drain' }),
    ]
    const page = reportHtml(resultWith({ series }))
    expect(chartsIn(page).rate?.lines[0]?.values).toEqual([100, 150, null])
    expect(chartsIn(page).connections?.lines[0]?.values).toEqual([8, 8, 8])
  })

  it('draws the planned rate and the service time of an open loop', () => {
    const { plan, phases } = resultWith()
    const charts = chartsIn(
      reportHtml(
        resultWith({
          plan: { ...plan, loop: 'open', ratePerSecond: 120, arrivals: 'poisson' },
          phases: { ...phases, service: distributionOf(1, 1.5) },
          series: [snapshotWith(), snapshotWith({ second: 2, stage: 'drain' })],
        }),
      ),
    )
    expect(charts.rate?.lines.at(-1)).toEqual({ name: 'plan', values: [120, null] })
    expect(charts.connections?.lines.map(({ name }) => name)).toEqual(['open', 'waiting'])
    expect(charts.percentiles?.lines.map(({ name }) => name)).toEqual(['latency', 'service time'])
  })

  it('has the ratios to a baseline, and draws its percentile curve beside that of the run', () => {
    const earlier = resultWith({ latency: distributionOf(2, 4, 8), valid: false })
    const none = reportHtml(resultWith())
    for (const [loop, names] of [
      ['closed', ['latency', 'baseline']],
      ['open', ['latency', 'service time', 'baseline']],
    ] as const) {
      const plan = { ...resultWith().plan, loop }
      const run = resultWith({ plan })
      const baseline = compareWithBaseline(run, { ...earlier, plan })
      const page = reportHtml({ ...run, baseline })
      expect(rowsIn(page, 'baseline')).toEqual(
        baseline.figures.map(({ name, before, now, ratio }) => [
          expect.stringContaining(name) as string,
          before,
          now,
          ratio,
        ]),
      )
      expect(page).toContain('It is invalid: the generator limited it.')
      const { lines = [] } = chartsIn(page).percentiles ?? {}
      expect(lines.map(({ name }) => name)).toEqual(names)
      expect(lines.at(-1)?.values.at(-1)).toBe(8)
      expect(rowsIn(page, 'percentiles').at(-1)?.at(-1)).toBe(8)
    }
    expect(none).not.toContain('baseline-section')
  })

  it('draws the percentile curve from the median to the maximum', () => {
    const durations = Array.from({ length: 1_000 }, (_, at) => at + 1)
    const latency = distributionOf(...durations)
    const { x, lines = [] } = chartsIn(reportHtml(resultWith({ latency }))).percentiles ?? {}
    const values = lines[0]?.values ?? []
    // A bucket is 0.1 % wide.
    for (const [nines, wanted] of [
      [1, 900],
      [2, 990],
      [3, 1_000],
    ] as const) {
      const value = values[x?.values.indexOf(nines) ?? -1] ?? 0
      expect(Math.abs(value - wanted)).toBeLessThanOrEqual(wanted / 1_000)
    }
    expect(values.at(-1)).toBe(1_000)
  })

  it('shades the warm-up and the time after the measured run', () => {
    const { plan } = resultWith()
    const series = [1, 2, 3, 4, 5, 6].map((second) => snapshotWith({ second }))
    const charts = chartsIn(reportHtml(resultWith({ plan: { ...plan, warmupMs: 1_500 }, series })))
    expect(charts.rate?.shaded).toEqual([
      [0, 1.5],
      [4.5, 6],
    ])
  })

  it('merges adjacent snapshots of a long run and keeps the worst figure', () => {
    const series = Array.from({ length: 7_200 }, (_, at) => snapshotWith({ second: at + 1 }))
    series[5_000] = snapshotWith({
      second: 5_001,
      answered: 1,
      latencyMs: { p50: 2, p90: 3, p99: 900, 'p99.9': 950, max: 999 },
      timeWait: 20_000,
      portsFree: 3,
    })
    const page = reportHtml(resultWith({ series }))
    const { rate, latency, ports } = chartsIn(page)
    expect(rate?.x.values).toHaveLength(1_800)
    expect(rate?.x.values.at(-1)).toBe(7_200)
    expect(rate?.lines[0]?.values[1_250]).toBe((3 * 100 + 1) / 4)
    expect(latency?.lines.map(({ values }) => values[1_250])).toEqual([2, 3, 900, 950, 999])
    expect(ports?.lines.map(({ values }) => values[1_250])).toEqual([20_000, 3])
    expect(page).toContain('Each point covers 4 snapshots')
    expect(dataIn(page, 'result')).toMatchObject({ series: { length: 7_200 } })
  })

  it('omits charts without data, and marks unknown figures', () => {
    const { kernel } = resultWith()
    const none = distributionOf()
    const page = reportHtml(
      resultWith({
        latency: none,
        phases: Object.fromEntries(
          Object.keys(resultWith().phases).map((phase) => [phase, none]),
        ) as never,
        kernel: { ...kernel, portsBefore: null, minRttMs: null },
        series: [snapshotWith({ answered: 0, timeWait: null, portsFree: null })],
      }),
    )
    expect(Object.keys(chartsIn(page))).toEqual(['rate', 'connections', 'event-loop'])
    expect(page).toContain('no answers')
    expect(page).toContain('<span class="unknown">n/a</span> before the run')
    expect(Object.keys(chartsIn(reportHtml(resultWith({ series: [] }))))).toEqual(['percentiles'])
  })

  it('lists the errors with their first messages, and the kernel’s counters', () => {
    const page = reportHtml(resultWith())
    expect(page).toContain('ECONNRESET')
    expect(page).toContain('the target reset the connection')
    expect(page).toContain('TCPAbortOnLinger')
    expect(reportHtml(resultWith({ errors: [] }))).toContain('No errors.')
  })
})

describe('reportHtml() of a comparison', () => {
  it('contains the comparison as JSON, and draws a line for each way', async () => {
    const { url } = await httpTarget()
    const ways = ['fin', 'keep-alive'] as const
    const comparison = await compare({ target: url, ways, rounds: 2, durationMs: 50 }).result
    const page = reportHtml(comparison)
    expect(dataIn(page, 'result')).toEqual(comparison)
    const { rate, percentiles, 'time-wait': timeWait } = chartsIn(page)
    expect(rate).toMatchObject({
      x: { kind: 'rounds', values: [1, 2] },
      lines: comparison.ways.map(({ way, results }) => ({
        name: way,
        values: results.map(({ requests }) => requests.perSecond),
      })),
    })
    expect(percentiles?.lines.map(({ name }) => name)).toEqual(ways)
    expect(timeWait?.lines[1]).toEqual({ name: 'keep-alive', values: [0, 0] })
    const columns = comparison.ways.map(({ results }) =>
      results.map(({ requests }) => requests.perSecond),
    )
    expect(rowsIn(page, 'rate')).toEqual([
      ['1', columns[0]?.[0], columns[1]?.[0]],
      ['2', columns[0]?.[1], columns[1]?.[1]],
    ])
  })

  it('has a row for each way with its means, intervals and totals', () => {
    const page = reportHtml(comparisonWith([resultWith()], [resultWith()]))
    expect(rowsIn(page, 'summary').map(([, ...figures]) => figures)).toEqual(
      [1, 2].map((ratio) => [
        ...[100, 90, 110, ratio, ratio, ratio, 1, 1, 1, 2, 2, 2, 30, 25, 35],
        ...[149, 0, 6, 300, 1],
      ]),
    )
  })

  it('adds up the latencies of all rounds', () => {
    const [one, other] = [1, 9].map((ms) => resultWith({ latency: distributionOf(ms) }))
    const page = reportHtml(comparisonWith([one, other] as StressResult[], []))
    expect(rowsIn(page, 'percentiles').filter(([name]) => name.startsWith('m'))).toEqual([
      ['min', 1, 0],
      ['max', 9, 0],
    ])
  })

  it('says which rounds the generator limited, and why', () => {
    const limited = resultWith({
      valid: false,
      limits: [{ code: 'ports', message: 'No port was free.' }],
    })
    const page = reportHtml(comparisonWith([resultWith()], [limited]))
    expect(page).toContain('<strong>Invalid.</strong>')
    expect(page).toContain('No port was free.')
    expect(reportHtml(comparisonWith([resultWith()], [resultWith()]))).toContain(
      '<strong>Valid.</strong>',
    )
  })

  it('says that a comparison was aborted, even before the end of its first round', () => {
    const comparison = comparisonWith([resultWith()], [resultWith()])
    expect(reportHtml({ ...comparison, ended: 'aborted' })).toContain('The comparison was aborted.')
    const none = reportHtml({ ...comparisonWith([], []), rounds: 0, ended: 'aborted' })
    expect(none).toContain('No round was complete.')
    expect(chartsIn(none)).toEqual({})
  })

  it('shows each text as text, whatever it contains', () => {
    const comparison = (text: string): StressComparison => {
      const { ways, ...rest } = comparisonWith(
        [withText(resultWith(), text)],
        [{ ...withText(resultWith(), text), valid: false, limits: withLimit(text) }],
      )
      return { ...rest, ways: ways.map((each) => ({ ...each, way: text as never })) }
    }
    const [harmless, page] = ['harmless', HOSTILE].map((text) => reportHtml(comparison(text))) as [
      string,
      string,
    ]
    expect(markupIn(page)).toEqual(markupIn(harmless))
    expect(dataIn(page, 'result')).toEqual(comparison(HOSTILE))
  })
})

function withLimit(message: string): StressResult['limits'] {
  return [{ code: 'ports', message }]
}

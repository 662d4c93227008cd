/** The sections of a report that have no chart. */
import { unitOf } from '../figures'
import type { LatencyDistribution } from '../latency-histogram'
import {
  stressCounters,
  type StressBaseline,
  type StressCounter,
  type StressPhases,
  type StressResult,
} from '../result'
import { latencyNote } from './charts'
import { countText, durationText, figure, figureText, units, type ShownUnit } from './figure-text'
import { html, type Html, type HtmlPart } from './html'
import { captionOf, errorCells, errorHeads, figureCell, row, scrollable, table } from './table'

/** A table of names and values. */
function facts(caption: string, rows: readonly (readonly [HtmlPart, HtmlPart])[]): Html {
  return scrollable(
    caption,
    html`<table class="facts">
      <caption>
        ${caption}
      </caption>
      <tbody>
        ${rows.map(([name, value]) => row(name, [html`<td>${value}</td>`]))}
      </tbody>
    </table>`,
  )
}

/** Whether the run is valid, and why not. */
export function verdict({ valid, limits, ended }: StressResult): Html {
  const aborted =
    ended === 'aborted' ? html`<p>The run was aborted. The figures are those until then.</p>` : null
  if (valid)
    return html`<div class="verdict valid">
      <p><strong>Valid.</strong> The generator did not limit the run.</p>
      ${aborted}
    </div>`
  return html`<div class="verdict invalid">
    <p>
      <strong>Invalid.</strong> The generator limited the run, so the figures are not those of the
      target:
    </p>
    <ul>
      ${limits.map(({ code, message }) => html`<li>${message} <code>${code}</code></li>`)}
    </ul>
    ${aborted}
  </div>`
}

/** The figures that matter most. */
export function summary({ requests, connections, latency, closes, seconds }: StressResult): Html {
  const { p50, p99, 'p99.9': p999 } = latency.percentilesMs
  const none = latency.count === 0
  const duration = (ms: number): HtmlPart =>
    none ? figure(null, 'ms') : html`<data value="${ms}">${durationText(ms)}</data>`
  const all: [name: string, value: HtmlPart, note: string][] = [
    [
      'Requests per second',
      figure(requests.perSecond, 'perSecond'),
      `${figureText(requests.answered, 'count')} answered in ${figureText(seconds, 'ms')} s`,
    ],
    ['Latency, median', duration(p50), 'half of the answers'],
    ['Latency, p99', duration(p99), '99 % of the answers'],
    [
      'Latency, p99.9',
      duration(p999),
      none ? 'no answers' : `longest: ${durationText(latency.maxMs)}`,
    ],
    [
      'Failed requests',
      figure(requests.failed, 'count'),
      `of ${figureText(requests.planned, 'count')}; ${figureText(requests.unsent, 'count')} not sent`,
    ],
    [
      'Connections per second',
      figure(connections.perSecond, 'perSecond'),
      `${figureText(connections.opened, 'count')} opened`,
    ],
    [
      'TIME_WAIT left here',
      figure(closes.timeWaitLeft, 'count'),
      `${countText(closes.discardedBytes, 'byte')} discarded`,
    ],
  ]
  return html`<dl class="summary">
    ${all.map(
      ([name, value, note]) =>
        html`<div>
          <dt>${name}</dt>
          <dd class="value">${value}</dd>
          <dd class="note">${note}</dd>
        </div>`,
    )}
  </dl>`
}

/** The figures of the run beside those of an earlier one. */
export function ratios({ startedAt, valid, figures }: StressBaseline): Html {
  return html`<p>
      The baseline is the run of
      <time datetime="${startedAt}">${startedAt}</time>.
      ${valid ? null : html`<strong>It is invalid: the generator limited it.</strong>`}
    </p>
    ${scrollable(
      'Baseline',
      table(
        'The figures of the baseline and of this run, and this run over the baseline',
        ['figure', 'baseline', 'this run', 'ratio'],
        figures.map(({ name, before, now, ratio }) => {
          const unit = unitOf(name)
          return row(html`${name}<small>${units[unit]}</small>`, [
            figureCell(before, unit),
            figureCell(now, unit),
            figureCell(ratio, 'ratio'),
          ])
        }),
      ),
    )}`
}

const phaseNames: Readonly<Record<keyof StressPhases, readonly [name: string, meaning: string]>> = {
  queue: ['Wait for a connection', 'from the intended start to the connection or its opening'],
  portWait: ['Wait for a port', 'where no port was free'],
  connectCall: ['Call of connect()', 'blocks the event loop of the generator'],
  handshake: ['Handshake', 'without those of the next row'],
  handshakeRetried: ['Handshake, SYN sent again', 'the first SYN had no answer'],
  tls: ['TLS', 'the handshake of TLS'],
  firstByte: ['First byte', 'from the write of the request to the first byte of its answer'],
  service: ['Service', 'from the connection or its opening to the end of the answer'],
  close: ['Close', 'from the call that closes a connection to its end'],
}

/** Percentiles and a picture of each part of a request. */
export function phases({
  latency,
  phases: all,
  plan,
}: Pick<StressResult, 'latency' | 'phases' | 'plan'>): Html {
  const rows: [name: string, meaning: string, distribution: LatencyDistribution][] = [
    ...Object.entries(phaseNames).map(
      ([phase, [name, meaning]]): [string, string, LatencyDistribution] => [
        name,
        meaning,
        all[phase as keyof StressPhases],
      ],
    ),
    [
      'Latency',
      plan.loop === 'open' ? 'from the intended start to the end of the answer' : 'as service',
      latency,
    ],
  ]
  const shown = rows.filter(([, , { count }]) => count > 0)
  if (shown.length === 0) return html`<p>No request got as far as a connection.</p>`
  const span = spanOf(shown.map(([, , distribution]) => distribution))
  const heads = ['p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max', 'mean', 'min'] as const
  const valueOf = (head: (typeof heads)[number], distribution: LatencyDistribution): number => {
    if (head === 'max') return distribution.maxMs
    if (head === 'mean') return distribution.meanMs
    if (head === 'min') return distribution.minMs
    return distribution.percentilesMs[head]
  }
  return html`<p>
      ${latencyNote(plan.loop)} The bars are on one logarithmic scale, from ${durationText(span[0])}
      to ${durationText(span[1])}. A bar reaches from p50 to p99, and its line from the shortest to
      the longest time.
    </p>
    ${scrollable(
      'Phases',
      table(
        captionOf('Phases of a request and of its connection', 'ms'),
        ['phase', 'distribution', ...heads, 'samples'],
        shown.map(([name, meaning, distribution]) =>
          row(html`${name}<small>${meaning}</small>`, [
            html`<td>${rangeBar(distribution, span)}</td>`,
            ...heads.map((head) => figureCell(valueOf(head, distribution), 'ms')),
            figureCell(distribution.count, 'count'),
          ]),
        ),
        'phases',
      ),
    )}`
}

/** Nothing is shorter on the scale of the bars, ms. */
const SHORTEST_MS = 0.001

function spanOf(distributions: readonly LatencyDistribution[]): [from: number, to: number] {
  const from = Math.max(SHORTEST_MS, Math.min(...distributions.map(({ minMs }) => minMs)))
  return [from, Math.max(2 * from, ...distributions.map(({ maxMs }) => maxMs))]
}

/** For the eye only: the row has the figures. */
function rangeBar(
  { minMs, maxMs, percentilesMs: { p50, p99 } }: LatencyDistribution,
  [from, to]: readonly [from: number, to: number],
): Html {
  const at = (ms: number): number =>
    (100 * Math.log(Math.max(from, ms) / from)) / Math.log(to / from)
  const bar = (kind: string, left: number, right: number, height: number): Html =>
    html`<rect
      class="${kind}"
      x="${at(left).toFixed(2)}"
      y="${(16 - height) / 2}"
      width="${Math.max(1, at(right) - at(left)).toFixed(2)}"
      height="${height}"
    />`
  return html`<svg class="range" viewBox="0 0 101 16" preserveAspectRatio="none" aria-hidden="true">
    ${bar('track', from, to, 1)}${bar('whole', minMs, maxMs, 4)}${bar('middle', p50, p99, 14)}
  </svg>`
}

/** Errors by cause, and answers by status. */
export function errors({ errors: all, requests }: StressResult): Html {
  const statuses = Object.entries(requests.byStatus)
  const causes =
    all.length === 0
      ? html`<p>No errors.</p>`
      : scrollable(
          'Errors',
          table(
            'Errors by cause, the most frequent first',
            ['code', ...errorHeads],
            all.map((error) => row(html`<code>${error.code}</code>`, errorCells(error))),
          ),
        )
  if (statuses.length === 0) return causes
  return html`${causes}
  ${facts(
    'Answers by HTTP status',
    statuses.map(([status, count]) => [status, figure(count, 'count')]),
  )}`
}

const counterMeanings: Readonly<Record<StressCounter, string>> = {
  RetransSegs: 'segments sent again',
  OutRsts: 'resets sent',
  EstabResets: 'connections that were reset',
  AttemptFails: 'connections that could not be opened',
  TCPSynRetrans: 'SYN segments sent again',
  TCPTimeouts: 'retransmission timeouts',
  TW: 'entries that left TIME_WAIT by its timer',
  TWRecycled: 'entries in TIME_WAIT whose port was used again',
  ListenOverflows: 'connections that found an accept queue full',
  ListenDrops: 'connections that were dropped by a listening socket',
  TCPAbortOnData: 'resets by SO_LINGER of 0 s, or for data after a close',
  TCPAbortOnLinger: 'connections dropped in FIN_WAIT_2 because TCP_LINGER2 is negative',
}

/** Closes, ports and the kernel's counters. */
export function kernel({ kernel: seen, closes, connections }: StressResult): Html {
  const count = (value: number | null): Html => figure(value, 'count')
  const change = (before: number | null, after: number | null): Html =>
    html`${count(before)} before the run, ${count(after)} after it`
  return html`${facts('Closes, as they happened', [
    ...Object.entries(closes.closes).map(
      ([mode, closed]) => [html`by <code>${mode}</code>`, count(closed)] as const,
    ),
    ...Object.entries(closes.fallbacks).map(
      ([code, fallen]) => [html`fell back: <code>${code}</code>`, count(fallen)] as const,
    ),
    ...(closes.underWay > 0 ? [['still under way', count(closes.underWay)] as const] : []),
    ['TIME_WAIT left here', count(closes.timeWaitLeft)],
    ['bytes discarded', count(closes.discardedBytes)],
    ['connections that the target ended between requests', count(connections.endedByTarget)],
  ])}
  ${facts('Ports towards the target', [
    ['TIME_WAIT', change(seen.timeWaitBefore, seen.timeWaitAfter)],
    ['free ports', change(seen.portsBefore, seen.portsAfter)],
    ['connections that waited for a port', count(seen.portWaits)],
  ])}
  ${facts('Sampled connections', [
    ['connections', count(seen.sampledConnections)],
    [
      'smallest round trip',
      seen.minRttMs === null
        ? count(null)
        : html`<data value="${seen.minRttMs}">${durationText(seen.minRttMs)}</data>`,
    ],
    ['segments sent again', count(seen.sampledRetransmits)],
  ])}
  ${facts(
    'Changes of the kernel’s counters in this network namespace, other programs included',
    stressCounters.map((name) => [
      html`<code>${name}</code><small>${counterMeanings[name]}</small>`,
      count(seen.counters[name]),
    ]),
  )}`
}

/** The measurements that the generator took of itself. */
export function generator({ generator: own, plan }: StressResult): Html {
  const value = (number: number, unit: ShownUnit, after: string): Html =>
    html`${figure(number, unit)} ${after}`
  const { mean, p99, max } = own.eventLoopDelayMs
  return facts('The generator, as it measured itself', [
    ['event loop busy', value(own.eventLoopBusy, 'share', '%')],
    [
      'event loop delay',
      html`mean ${value(mean, 'ms', 'ms')}, p99 ${value(p99, 'ms', 'ms')}, longest
      ${value(max, 'ms', 'ms')}`,
    ],
    [
      'processor time',
      html`${value(own.userCpu, 'ms', 's')} user and ${value(own.systemCpu, 'ms', 's')} system, per
      second`,
    ],
    ...(plan.loop === 'closed' || own.lag.count === 0
      ? []
      : [
          [
            'requests started late by',
            html`p50 ${value(own.lag.percentilesMs.p50, 'ms', 'ms')}, p99
            ${value(own.lag.percentilesMs.p99, 'ms', 'ms')}, longest
            ${value(own.lag.maxMs, 'ms', 'ms')}`,
          ] as const,
        ]),
  ])
}

/** The plan of the run, and its target. */
export function plan(result: StressResult): Html {
  const { requestsPerConnection, close, amount } = result.plan
  return html`${planFacts(result, [
    [
      'requests per connection',
      requestsPerConnection === null ? NOT_LIMITED : figure(requestsPerConnection, 'count'),
    ],
    ['closed by', close === 'server' ? 'the target' : html`<code>${close}</code>`],
    ['requests', amount === null ? NOT_LIMITED : figure(amount, 'count')],
  ])}
  ${environment(result)}`
}

/** The common part of the plans of a comparison. */
export function planOfWays(result: StressResult, ways: readonly string[]): Html {
  return planFacts(result, [['ways', ways.join(', ')]])
}

const NOT_LIMITED = 'not limited'

function planFacts(
  { plan: wanted, target }: StressResult,
  own: readonly (readonly [HtmlPart, HtmlPart])[],
): Html {
  const { durationMs, ratePerSecond, connectionsPerSecond, sources } = wanted
  return facts('Plan', [
    ['target', html`<code>${target.url}</code>`],
    ['address', html`<code>${target.address}</code>, port ${target.port}, ${target.protocol}`],
    [
      'loop',
      ratePerSecond === null
        ? 'closed: each connection sends its next request when it has the answer'
        : `open: ${figureText(ratePerSecond, 'perSecond')} requests per second, ${wanted.arrivals ?? ''} arrivals`,
    ],
    ['connections at a time', figure(wanted.connections, 'count')],
    [
      'connections per second',
      connectionsPerSecond === null ? NOT_LIMITED : figure(connectionsPerSecond, 'perSecond'),
    ],
    ...own,
    ['duration', durationMs === null ? NOT_LIMITED : durationText(durationMs)],
    ['warm-up', durationText(wanted.warmupMs)],
    ['timeout', durationText(wanted.timeoutMs)],
    ['source addresses', sources.length === 0 ? 'the kernel’s choice' : sources.join(', ')],
  ])
}

export function environment({ environment: own, startedAt }: StressResult): Html {
  return facts('Environment of the generator', [
    ['started', html`<time datetime="${startedAt}">${startedAt}</time>`],
    ['Node.js', own.node],
    ['system', `${own.platform} ${own.release}`],
    ['processors', figure(own.processors, 'count')],
  ])
}

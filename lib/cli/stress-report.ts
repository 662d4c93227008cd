/** The result of a run as text. */
import type {
  LatencyDistribution,
  Percentiles,
  StressBaselineFigure,
  StressPlan,
  StressResult,
  StressSnapshot,
} from '../stress'
import { unitOf, type FigureUnit } from '../stress/figures'
import { NOT_KNOWN, align, count, countOrUnknown, counted, wrap } from './text'

/** A figure of a snapshot per second. */
export function perSecond({ intervalMs }: StressSnapshot, value: number): number {
  return intervalMs > 0 ? (1_000 * value) / intervalMs : 0
}

/** One line about a snapshot. */
export function snapshotLine(snapshot: StressSnapshot): string {
  const { second, stage, answered, failed, latencyMs, waiting } = snapshot
  const parts = [
    `${second.toFixed(0).padStart(4)} s${stage === 'measure' ? '' : ` ${stage}`}`,
    `${count(perSecond(snapshot, answered))}/s`,
    `p50 ${answered > 0 ? duration(latencyMs.p50) : NOT_KNOWN}`,
    `p99 ${answered > 0 ? duration(latencyMs.p99) : NOT_KNOWN}`,
    `${count(failed)} failed`,
  ]
  if (waiting > 0) parts.push(`${count(waiting)} waiting`)
  if (snapshot.timeWait !== null) parts.push(`${count(snapshot.timeWait)} in TIME_WAIT`)
  if (snapshot.portsFree !== null) parts.push(`${count(snapshot.portsFree)} ports free`)
  if (snapshot.secondsUntilExhaustion !== null)
    parts.push(`none in ${count(snapshot.secondsUntilExhaustion)} s`)
  return parts.join('  ')
}

/** The whole result. */
export function stressReport(result: StressResult): string {
  const sections = [
    overview(result),
    latencies(result),
    errors(result),
    ends(result),
    ratios(result),
    verdict(result),
  ].filter((lines) => lines.length > 0)
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`
}

/** The parts of a sentence about a plan. */
export function planParts(plan: StressPlan): string[] {
  const { ratePerSecond, arrivals, connections, connectionsPerSecond } = plan
  const { requestsPerConnection, close } = plan
  return [
    ratePerSecond === null
      ? 'closed loop'
      : `open loop of ${String(ratePerSecond)}/s (${arrivals ?? ''})`,
    `${counted(connections, 'connection')} at a time`,
    ...(connectionsPerSecond === null
      ? []
      : [`at most ${String(connectionsPerSecond)} opened per second`]),
    requestsPerConnection === null
      ? 'kept alive'
      : `with ${counted(requestsPerConnection, 'request')} each`,
    close === 'server' ? 'closed by the target' : `closed by ${close}`,
  ]
}

function overview({ target, plan, requests, connections, seconds, ended }: StressResult): string[] {
  const ending = ended === 'aborted' ? ', then aborted' : ''
  const statuses = Object.entries(requests.byStatus)
    .map(([status, number]) => `${status}: ${count(number)}`)
    .join(', ')
  return [
    ...wrap(
      `${target.url} (${target.address} port ${String(target.port)}), ${planParts(plan).join(', ')}.`,
      '',
    ),
    ...wrap(
      `${seconds.toFixed(1)} s${ending}: ${counted(requests.answered, 'request')} answered, ${count(requests.perSecond)}/s; ${count(requests.failed)} failed, ${count(requests.unsent)} not sent. ${counted(connections.opened, 'connection')} opened, ${count(connections.perSecond)}/s.`,
      '',
    ),
    ...(statuses === '' ? [] : wrap(statuses, 'status: ')),
  ]
}

const phaseNames: readonly (readonly [keyof StressResult['phases'], string])[] = [
  ['queue', 'wait for a connection'],
  ['portWait', 'wait for a port'],
  ['connectCall', 'call of connect()'],
  ['handshake', 'handshake'],
  ['handshakeRetried', 'handshake, SYN sent again'],
  ['tls', 'TLS'],
  ['firstByte', 'first byte'],
  ['service', 'service'],
  ['close', 'close'],
]

function latencies({ latency, phases, plan }: StressResult): string[] {
  const name = plan.loop === 'open' ? 'latency' : 'latency (closed loop)'
  const rows = phaseNames
    .filter(([phase]) => phases[phase].count > 0)
    .map(([phase, label]) => latencyCells(label, phases[phase]))
  return align(
    [
      ['', 'p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max', 'samples'],
      latencyCells(name, latency),
      ...rows,
    ],
    'lrrrrrrr',
  )
}

function latencyCells(
  label: string,
  { percentilesMs: p, maxMs, count: samples }: LatencyDistribution,
): string[] {
  const values = [p.p50, p.p90, p.p99, p['p99.9'], p['p99.99'], maxMs]
  return [
    label,
    ...values.map((value) => (samples > 0 ? duration(value) : NOT_KNOWN)),
    count(samples),
  ]
}

function errors({ errors: all }: StressResult): string[] {
  return all.flatMap(({ code, phase, count: number, message }) =>
    wrap(message, `error: ${count(number)} ${code} (${phase}): `),
  )
}

function ends({ closes, kernel, generator, workers }: StressResult): string[] {
  const modes = Object.entries(closes.closes)
    .filter(([, number]) => number > 0)
    .map(([mode, number]) => `${count(number)} by ${mode}`)
  const fallbacks = Object.entries(closes.fallbacks).map(
    ([code, number]) => `${count(number)} fell back (${code})`,
  )
  const underWay = closes.underWay > 0 ? [`${count(closes.underWay)} still under way`] : []
  const { eventLoopBusy, userCpu, systemCpu, eventLoopDelayMs } = generator
  return [
    ...wrap(
      `${[...modes, ...fallbacks, ...underWay].join(', ') || 'none'}; ${counted(closes.timeWaitLeft, 'TIME_WAIT entry', 'TIME_WAIT entries')} left here, ${counted(closes.discardedBytes, 'byte')} discarded.`,
      'closes: ',
    ),
    ...(kernel.portsBefore === null
      ? []
      : wrap(
          `${countOrUnknown(kernel.portsBefore)} free before, ${countOrUnknown(kernel.portsAfter)} after; TIME_WAIT ${countOrUnknown(kernel.timeWaitBefore)} before, ${countOrUnknown(kernel.timeWaitAfter)} after.`,
          'ports: ',
        )),
    ...(kernel.counters.RetransSegs === null
      ? []
      : wrap(
          `${countOrUnknown(kernel.counters.RetransSegs)} retransmits, ${countOrUnknown(kernel.counters.OutRsts)} resets sent, ${countOrUnknown(kernel.counters.ListenDrops)} connections dropped by full accept queues, in this whole network namespace. Smallest round trip: ${kernel.minRttMs === null ? 'not known' : duration(kernel.minRttMs)}.`,
          'kernel: ',
        )),
    ...wrap(
      `${workers.length === 0 ? '' : `${counted(workers.length, 'process', 'processes')}, with the worst figures of one: `}event loop ${(100 * eventLoopBusy).toFixed(0)} % busy, delayed by up to ${duration(eventLoopDelayMs.max)}; ${(userCpu + systemCpu).toFixed(2)} processors${workers.length === 0 ? '' : ' in all'}.`,
      'generator: ',
    ),
  ]
}

function ratios({ baseline }: StressResult): string[] {
  if (baseline === undefined) return []
  const { startedAt, valid, figures } = baseline
  return [
    ...align(
      [['', 'baseline', 'this run', 'ratio'], ...figures.map((each) => ratioCells(each))],
      'lrrr',
    ),
    ...wrap(
      `The baseline is the run of ${startedAt}.${valid ? '' : ' It is INVALID: the generator limited it.'}`,
      '',
    ),
  ]
}

function ratioCells({ name, before, now, ratio }: StressBaselineFigure): string[] {
  const write = writers[unitOf(name)]
  const cells = [before, now].map((value) => (value === null ? NOT_KNOWN : write(value)))
  return [name, ...cells, ratio === null ? NOT_KNOWN : ratio.toFixed(2)]
}

/** How the figures of a baseline are written. */
const writers: Readonly<Record<FigureUnit, (value: number) => string>> = {
  ms: duration,
  count,
  perSecond: (value) => `${count(value)}/s`,
  percent: (value) => `${value.toFixed(2)} %`,
}

function verdict({ valid, limits }: StressResult): string[] {
  if (valid) return ['VALID: the generator did not limit the run.']
  return limits.flatMap(({ code, message }) => wrap(`${message} (${code})`, 'INVALID: '))
}

/** A percentile of the latencies. */
export function percentile(
  { count: samples, percentilesMs }: LatencyDistribution,
  name: keyof Percentiles,
): string {
  return samples > 0 ? duration(percentilesMs[name]) : NOT_KNOWN
}

/** Three significant digits. */
export function duration(ms: number): string {
  if (ms >= 1_000) return `${(ms / 1_000).toPrecision(3)} s`
  if (ms >= 1) return `${ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3)} ms`
  return `${(1_000 * ms).toFixed(0)} µs`
}

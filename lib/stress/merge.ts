/** Merges what several processes measured, of one run or of several, as if one process had measured it. */
import { ArgumentTypeError, ArgumentValueError } from '../errors'
import { mergeDistributions, type LatencyDistribution } from './latency-histogram'
import { apartLimit, mergeLimits } from './merge-limits'
import { mergePlans, sumOrNull } from './merge-plans'
import type { Part } from './part'
import {
  stressCounters,
  type StressError,
  type StressGenerator,
  type StressKernel,
  type StressPhases,
  type StressResult,
  type StressSnapshot,
  type StressWorker,
} from './result'
import { checkRunResult } from './result-check'
import { SnapshotMerge } from './snapshot-merge'

/**
 * Merges the results of several runs, for example of several machines that put load on one target at the same time.
 * Counts and rates are added up, distributions are merged exactly, and the plan is that of all runs together. The result
 * is valid if each of them is and if they took place at the same time. Figures of the kernel are added up, so each run
 * needs a network namespace of its own.
 *
 * @throws ERR_INVALID_ARG_TYPE for a value that is not the result of a run; ERR_INVALID_ARG_VALUE for an empty array, for
 *   another `schemaVersion`, and for runs whose targets or plans do not fit
 */
export function mergeResults(results: readonly StressResult[]): StressResult {
  if (!Array.isArray(results)) throw new ArgumentTypeError('results', 'an array', results)
  const all = Array.from(results as readonly unknown[], (each, index) =>
    checkRunResult(`results[${String(index)}]`, each),
  )
  const [first] = all
  if (first === undefined) throw new ArgumentValueError('results', 'must not be empty', results)
  const plan = mergePlans('results', all)
  const named = all.map((result, index) => ({ name: `run ${String(index + 1)}`, result }))
  const limits = mergeLimits(
    named.map(({ name, result }) => ({ name, part: result, limits: result.limits })),
  )
  const apart = apartLimit(all)
  if (apart !== undefined) limits.push(apart)
  const part = mergeParts(all)
  return {
    schemaVersion: first.schemaVersion,
    startedAt: all.map(({ startedAt }) => startedAt).toSorted()[0] ?? first.startedAt,
    environment: first.environment,
    target: first.target,
    plan,
    valid: limits.length === 0,
    limits,
    ...part,
    kernel: { ...part.kernel, ...mergeKernels(all.map(({ kernel }) => kernel)) },
    workers: named.flatMap(({ name, result }) => workersOf(name, result)),
    series: mergeSeries(all),
  }
}

/** @param parts at least one */
export function mergeParts(parts: readonly Part[]): Part {
  const sum = (of: (part: Part) => number): number =>
    parts.reduce((before, part) => before + of(part), 0)
  const merged = (of: (part: Part) => LatencyDistribution): LatencyDistribution =>
    mergeDistributions(parts.map(of))
  const seconds = Math.max(...parts.map((part) => part.seconds))
  // Counts that were divided by the time of each part.
  const perSecond = (of: (part: Part) => number): number =>
    seconds === 0 ? 0 : sum((part) => Math.round(of(part) * part.seconds)) / seconds
  const phase = (name: keyof StressPhases): LatencyDistribution =>
    merged(({ phases }) => phases[name])
  return {
    ended: endOf(parts),
    seconds,
    requests: {
      planned: sum(({ requests }) => requests.planned),
      answered: sum(({ requests }) => requests.answered),
      failed: sum(({ requests }) => requests.failed),
      unsent: sum(({ requests }) => requests.unsent),
      aborted: sum(({ requests }) => requests.aborted),
      perSecond: perSecond(({ requests }) => requests.perSecond),
      bytesReceived: sum(({ requests }) => requests.bytesReceived),
      byStatus: mergeCounts(parts.map(({ requests }) => requests.byStatus)),
    },
    connections: {
      opened: sum(({ connections }) => connections.opened),
      failed: sum(({ connections }) => connections.failed),
      perSecond: perSecond(({ connections }) => connections.perSecond),
      mostOpen: sum(({ connections }) => connections.mostOpen),
      endedByTarget: sum(({ connections }) => connections.endedByTarget),
    },
    latency: merged(({ latency }) => latency),
    phases: {
      queue: phase('queue'),
      portWait: phase('portWait'),
      connectCall: phase('connectCall'),
      handshake: phase('handshake'),
      handshakeRetried: phase('handshakeRetried'),
      tls: phase('tls'),
      firstByte: phase('firstByte'),
      service: phase('service'),
      close: phase('close'),
    },
    errors: mergeErrors(parts.flatMap(({ errors }) => errors)),
    closes: {
      closes: mergeCounts(parts.map(({ closes }) => closes.closes)),
      fallbacks: mergeCounts(parts.map(({ closes }) => closes.fallbacks)),
      timeWaitLeft: sum(({ closes }) => closes.timeWaitLeft),
      discardedBytes: sum(({ closes }) => closes.discardedBytes),
      unreadBytes: sum(({ closes }) => closes.unreadBytes),
      underWay: sum(({ closes }) => closes.underWay),
    },
    kernel: {
      minRttMs: leastOf(parts.map(({ kernel }) => kernel.minRttMs)),
      sampledRetransmits: sum(({ kernel }) => kernel.sampledRetransmits),
      sampledConnections: sum(({ kernel }) => kernel.sampledConnections),
      portWaits: sum(({ kernel }) => kernel.portWaits),
    },
    generator: mergeGenerators(parts.map(({ generator }) => generator)),
  }
}

function endOf(parts: readonly Part[]): StressResult['ended'] {
  if (parts.some(({ ended }) => ended === 'aborted')) return 'aborted'
  return parts.every(({ ended }) => ended === 'amount') ? 'amount' : 'duration'
}

/** The worst event loop, and the work of all. */
function mergeGenerators(all: readonly StressGenerator[]): StressGenerator {
  const sum = (of: (generator: StressGenerator) => number): number =>
    all.reduce((before, each) => before + of(each), 0)
  const most = (of: (generator: StressGenerator) => number): number => Math.max(...all.map(of))
  return {
    eventLoopBusy: most(({ eventLoopBusy }) => eventLoopBusy),
    eventLoopDelayMs: {
      mean: most(({ eventLoopDelayMs }) => eventLoopDelayMs.mean),
      p99: most(({ eventLoopDelayMs }) => eventLoopDelayMs.p99),
      max: most(({ eventLoopDelayMs }) => eventLoopDelayMs.max),
    },
    userCpu: sum(({ userCpu }) => userCpu),
    systemCpu: sum(({ systemCpu }) => systemCpu),
    lag: mergeDistributions(all.map(({ lag }) => lag)),
  }
}

/** Adds up the counts of each name. */
function mergeCounts<K extends string>(
  all: readonly Readonly<Partial<Record<K, number>>>[],
): Record<K, number> {
  const sums = new Map<string, number>()
  for (const counts of all)
    for (const [name, count] of Object.entries<number | undefined>(counts))
      sums.set(name, (sums.get(name) ?? 0) + (count ?? 0))
  return Object.fromEntries(sums) as Record<K, number>
}

/** Errors of one cause become one, with the message of the first. */
function mergeErrors(errors: readonly StressError[]): StressError[] {
  const all = new Map<string, StressError>()
  for (const error of errors) {
    const key = `${error.code} ${error.phase}`
    const known = all.get(key)
    all.set(key, known === undefined ? error : { ...known, count: known.count + error.count })
  }
  return [...all.values()].sort((a, b) => b.count - a.count)
}

function leastOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? null : Math.min(...known)
}

/** The figures of several network namespaces. */
function mergeKernels(kernels: readonly StressKernel[]): Omit<StressKernel, keyof Part['kernel']> {
  const sum = (of: (kernel: StressKernel) => number | null): number | null =>
    sumOrNull(kernels.map(of))
  return {
    counters: Object.fromEntries(
      stressCounters.map((name) => [name, sum(({ counters }) => counters[name])]),
    ) as StressKernel['counters'],
    timeWaitBefore: sum(({ timeWaitBefore }) => timeWaitBefore),
    timeWaitAfter: sum(({ timeWaitAfter }) => timeWaitAfter),
    portsBefore: sum(({ portsBefore }) => portsBefore),
    portsAfter: sum(({ portsAfter }) => portsAfter),
  }
}

function workersOf(run: string, { requests, generator, workers }: StressResult): StressWorker[] {
  if (workers.length > 0)
    return workers.map((worker) => ({ ...worker, name: `${run}, ${worker.name}` }))
  return [{ name: run, answered: requests.answered, perSecond: requests.perSecond, generator }]
}

function mergeSeries(results: readonly StressResult[]): StressSnapshot[] {
  const merge = new SnapshotMerge<StressSnapshot>(results.length)
  results.forEach(({ series }, index) => {
    for (const snapshot of series) merge.push(index, snapshot)
    merge.end(index)
  })
  return merge.take().map(({ snapshot, latest }) => ({
    ...snapshot,
    timeWait: sumOrNull(latest.map(({ timeWait }) => timeWait)),
    portsFree: sumOrNull(latest.map(({ portsFree }) => portsFree)),
    secondsUntilExhaustion: leastOf(
      latest.map(({ secondsUntilExhaustion }) => secondsUntilExhaustion),
    ),
  }))
}

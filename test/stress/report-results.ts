/** Results to make reports of, and readers of the finished pages. */
import { LatencyHistogram, type LatencyDistribution } from '../../lib/stress'
import type { StressComparison, StressResult, StressSnapshot } from '../../lib/stress'
import { stressCounters } from '../../lib/stress/result'
import type { Chart } from '../../lib/stress/report/charts'

export function distributionOf(...durations: readonly number[]): LatencyDistribution {
  const histogram = new LatencyHistogram()
  for (const ms of durations) histogram.record(ms)
  return histogram.distribution()
}

export function snapshotWith(parts: Partial<StressSnapshot> = {}): StressSnapshot {
  return {
    second: 1,
    stage: 'measure',
    intervalMs: 1_000,
    answered: 100,
    failed: 2,
    connectionsOpened: 50,
    connectionsOpen: 8,
    waiting: 0,
    latencyMs: { p50: 1.25, p90: 2.5, p99: 40.123, 'p99.9': 90, max: 100 },
    timeWait: 400,
    portsFree: 28_000,
    secondsUntilExhaustion: 560,
    eventLoopBusy: 0.25,
    ...parts,
  }
}

/** The result of a closed loop of 3 s. */
export function resultWith(parts: Partial<StressResult> = {}): StressResult {
  const some = distributionOf(1, 2, 3, 4, 50.5)
  const none = distributionOf()
  return {
    schemaVersion: 1,
    startedAt: '2030-01-02T03:04:05.678Z',
    environment: { node: 'v20.19.0', platform: 'linux', release: '6.1.0', processors: 2 },
    target: {
      url: 'http://127.0.0.1:8080/',
      protocol: 'http',
      host: '127.0.0.1',
      address: '127.0.0.1',
      port: 8080,
    },
    plan: {
      loop: 'closed',
      connections: 8,
      ratePerSecond: null,
      arrivals: null,
      connectionsPerSecond: null,
      requestsPerConnection: 1,
      close: 'fin',
      durationMs: 3_000,
      amount: null,
      warmupMs: 0,
      timeoutMs: 10_000,
      sources: ['127.0.0.2'],
      workers: 1,
    },
    ended: 'duration',
    seconds: 3,
    valid: true,
    limits: [],
    requests: {
      planned: 306,
      answered: 300,
      failed: 6,
      unsent: 0,
      aborted: 0,
      perSecond: 100,
      bytesReceived: 3_000,
      byStatus: { 200: 290, 503: 10 },
    },
    connections: { opened: 150, failed: 0, perSecond: 50, mostOpen: 8, endedByTarget: 1 },
    latency: some,
    phases: {
      queue: none,
      connectCall: distributionOf(0.02, 0.03),
      handshake: distributionOf(0.1, 0.2),
      handshakeRetried: none,
      portWait: none,
      tls: none,
      firstByte: some,
      service: some,
      close: distributionOf(0.3),
    },
    errors: [
      { code: 'ECONNRESET', phase: 'answer', count: 6, message: 'the target reset the connection' },
    ],
    closes: {
      closes: { fin: 150, deliver: 0, lingering: 0, reset: 0 },
      fallbacks: { ended: 3 },
      timeWaitLeft: 149,
      discardedBytes: 0,
      unreadBytes: 0,
      underWay: 0,
    },
    kernel: {
      counters: Object.fromEntries(
        stressCounters.map((name, at) => [name, at]),
      ) as StressResult['kernel']['counters'],
      minRttMs: 0.02,
      sampledRetransmits: 0,
      sampledConnections: 12,
      timeWaitBefore: 0,
      timeWaitAfter: 149,
      portsBefore: 28_232,
      portsAfter: 28_083,
      portWaits: 0,
    },
    generator: {
      eventLoopBusy: 0.25,
      eventLoopDelayMs: { mean: 0.5, p99: 2, max: 7 },
      userCpu: 0.2,
      systemCpu: 0.1,
      lag: none,
    },
    workers: [],
    series: [1, 2, 3].map((second) => snapshotWith({ second })),
    ...parts,
  }
}

/** A comparison of `fin` and `reset` with these results of their rounds. */
export function comparisonWith(...results: readonly (readonly StressResult[])[]): StressComparison {
  return {
    schemaVersion: 1,
    rounds: results[0]?.length ?? 0,
    ended: 'complete',
    ways: (['fin', 'reset'] as const).map((way, at) => {
      const own = results[at] ?? []
      return {
        way,
        perSecond: { mean: 100, low: 90, high: 110 },
        rateRatio: { mean: at + 1, low: at + 1, high: at + 1 },
        p50Ms: { mean: 1, low: 1, high: 1 },
        p99Ms: { mean: 2, low: 2, high: 2 },
        cpuMicroseconds: { mean: 30, low: 25, high: 35 },
        answered: 300,
        failed: 6,
        timeWaitLeft: 149,
        discardedBytes: 0,
        validRounds: own.filter(({ valid }) => valid).length,
        results: own,
      }
    }),
  }
}

/** The content of a data element of a page. */
export function dataIn(page: string, id: 'result' | 'charts'): unknown {
  const [, json = ''] =
    new RegExp(`<script type="application/json" id="${id}">(.*?)</script>`, 's').exec(page) ?? []
  return JSON.parse(json)
}

export function chartsIn(page: string): Readonly<Record<string, Chart>> {
  return Object.fromEntries((dataIn(page, 'charts') as Chart[]).map((each) => [each.id, each]))
}

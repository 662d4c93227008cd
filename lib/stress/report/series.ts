/** The snapshots of a run as the points of its charts. */
import type { StressSnapshot } from '../result'

/** More points are neither legible in a chart nor useful in a table. */
const MOST_POINTS = 1_800

export interface Points {
  readonly snapshots: readonly StressSnapshot[]
  /** The snapshots that each point covers. */
  readonly each: number
}

/** Merges neighbours where a run has more snapshots than a chart can show. */
export function pointsOf(series: readonly StressSnapshot[]): Points {
  const each = Math.max(1, Math.ceil(series.length / MOST_POINTS))
  if (each === 1) return { snapshots: series, each }
  const snapshots: StressSnapshot[] = []
  for (let at = 0; at < series.length; at += each)
    snapshots.push(series.slice(at, at + each).reduce(merged))
  return { snapshots, each }
}

/** Counts are added up. Of all else, the worst is kept: a spike must not disappear. */
function merged(one: StressSnapshot, next: StressSnapshot): StressSnapshot {
  return {
    second: next.second,
    stage: next.stage,
    intervalMs: one.intervalMs + next.intervalMs,
    answered: one.answered + next.answered,
    failed: one.failed + next.failed,
    connectionsOpened: one.connectionsOpened + next.connectionsOpened,
    connectionsOpen: Math.max(one.connectionsOpen, next.connectionsOpen),
    waiting: Math.max(one.waiting, next.waiting),
    latencyMs: {
      p50: Math.max(one.latencyMs.p50, next.latencyMs.p50),
      p90: Math.max(one.latencyMs.p90, next.latencyMs.p90),
      p99: Math.max(one.latencyMs.p99, next.latencyMs.p99),
      'p99.9': Math.max(one.latencyMs['p99.9'], next.latencyMs['p99.9']),
      max: Math.max(one.latencyMs.max, next.latencyMs.max),
    },
    timeWait: known(Math.max, one.timeWait, next.timeWait),
    portsFree: known(Math.min, one.portsFree, next.portsFree),
    secondsUntilExhaustion: known(
      Math.min,
      one.secondsUntilExhaustion,
      next.secondsUntilExhaustion,
    ),
    eventLoopBusy: Math.max(one.eventLoopBusy, next.eventLoopBusy),
  }
}

function known(
  choose: (one: number, next: number) => number,
  one: number | null,
  next: number | null,
): number | null {
  if (one === null || next === null) return one ?? next
  return choose(one, next)
}

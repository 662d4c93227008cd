/** The workers of a run, or the runs that were merged. */
import type { StressWorker } from '../result'
import { html, type Html } from './html'
import { figureCell, row, scrollable, table } from './table'

const heads = [
  'process',
  'answered',
  'per s',
  'event loop busy, %',
  'event loop delay p99, ms',
  'processor time, s per s',
  'started late p99, ms',
] as const

/** The measurements that each of them took of itself. */
export function workersTable(workers: readonly StressWorker[]): Html {
  const rows = workers.map(({ name, answered, perSecond, generator }) =>
    row(name, [
      figureCell(answered, 'count'),
      figureCell(perSecond, 'perSecond'),
      figureCell(generator.eventLoopBusy, 'share'),
      figureCell(generator.eventLoopDelayMs.p99, 'ms'),
      figureCell(generator.userCpu + generator.systemCpu, 'ratio'),
      // A closed loop has no starts that can be late.
      figureCell(generator.lag.count === 0 ? null : generator.lag.percentilesMs.p99, 'ms'),
    ]),
  )
  return html`<p>The section above has their worst event loop and all their processor time.</p>
    ${scrollable('Workers', table('Processes, as they measured themselves', heads, rows))}`
}

import fc from 'fast-check'
import { SnapshotMerge } from '../../lib/stress/snapshot-merge'
import type { StressSnapshot } from '../../lib/stress'
import { distributionOf, snapshotWith } from './report-results'

const stages = ['warm-up', 'measure', 'drain'] as const

/** The snapshots of one part. Each second has its own delay, and some are missing. */
const part = fc
  .array(
    fc.record({
      delay: fc.double({ min: 0, max: 0.4, noNaN: true }),
      answered: fc.nat({ max: 1_000 }),
      isMissing: fc.boolean(),
    }),
    { minLength: 6, maxLength: 6 },
  )
  .map((all) =>
    all.flatMap(({ delay, answered, isMissing }, at) => {
      const stage = stages[Math.floor(at / 2)] ?? 'drain'
      return isMissing ? [] : [snapshotWith({ second: at + 1 + delay, stage, answered })]
    }),
  )

describe('SnapshotMerge', () => {
  it('counts each answer once and in order of time, whatever the order in which snapshots arrive', () => {
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 1, maxLength: 5 }),
        fc.infiniteStream(fc.nat()),
        (parts, next) => {
          const merge = new SnapshotMerge<StressSnapshot>(parts.length)
          const left = parts.map((snapshots) => [...snapshots])
          const merged: Pick<StressSnapshot, 'second' | 'stage' | 'answered'>[] = []
          const open = new Set(parts.keys())
          while (open.size > 0) {
            const index = [...open][(next.next().value as number) % open.size] ?? 0
            const snapshot = left[index]?.shift()
            if (snapshot === undefined) {
              open.delete(index)
              merge.end(index)
            } else merge.push(index, snapshot)
            merged.push(...merge.take().map(({ snapshot: each }) => each))
          }
          const sum = (all: readonly { answered: number }[]): number =>
            all.reduce((before, { answered }) => before + answered, 0)
          expect(sum(merged)).toBe(sum(parts.flat()))
          const seconds = merged.map(({ second }) => second)
          expect(seconds).toEqual(seconds.toSorted((a, b) => a - b))
          const places = merged.map(({ stage }) => stages.indexOf(stage))
          expect(places).toEqual(places.toSorted((a, b) => a - b))
          // At most one for each second.
          expect(merged.length).toBeLessThanOrEqual(6)
        },
      ),
    )
  })

  it('waits for the snapshots of all parts', () => {
    const merge = new SnapshotMerge<StressSnapshot>(2)
    merge.push(0, snapshotWith({ second: 1 }))
    merge.push(0, snapshotWith({ second: 2 }))
    expect(merge.take()).toEqual([])
    merge.push(1, snapshotWith({ second: 2.1 }))
    // The other part has no snapshot of the first second.
    expect(merge.take().map(({ snapshot }) => snapshot)).toMatchObject([
      { second: 1, answered: 100 },
      { second: 2.1, answered: 200 },
    ])
  })

  it('computes percentiles from the merged distributions', () => {
    const merge = new SnapshotMerge(2)
    const samples = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    merge.push(0, { ...snapshotWith(), latency: distributionOf(...samples.slice(0, 9)) })
    merge.push(1, { ...snapshotWith(), latency: distributionOf(...samples.slice(9)) })
    const [merged] = merge.take()
    const { percentilesMs, maxMs } = distributionOf(...samples)
    const { p50, p90, p99 } = percentilesMs
    expect(merged?.snapshot.latencyMs).toEqual({
      ...{ p50, p90, p99, 'p99.9': percentilesMs['p99.9'] },
      max: maxMs,
    })
  })

  it('counts the open connections of parts without a snapshot in this second, but not of lost parts', () => {
    const merge = new SnapshotMerge<StressSnapshot>(3)
    for (const index of [0, 1, 2]) merge.push(index, snapshotWith({ second: 1 }))
    expect(merge.take()[0]?.snapshot.connectionsOpen).toBe(24)
    merge.push(0, snapshotWith({ second: 2, connectionsOpen: 5 }))
    merge.push(1, snapshotWith({ second: 3, connectionsOpen: 5 }))
    merge.lose(2)
    expect(merge.take().map(({ snapshot }) => snapshot.connectionsOpen)).toEqual([13])
    merge.end(0)
    expect(merge.take().map(({ snapshot }) => snapshot.connectionsOpen)).toEqual([10])
  })
})

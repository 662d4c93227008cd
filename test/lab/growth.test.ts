import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'

/** What the process held after each quarter of its work. */
interface Sample {
  rss: number
  descriptors: number
  resources: number
}

const MIB = 2 ** 20
/** Of half of the calls: docs/evidence.md says what was measured, and what a leak would come to. */
const TOLERANCE_MIB = 8

labDescribe('what is done very often', ['root', 'ip'], () => {
  const namespace = useNamespace()

  it.each([
    ['10 million option calls', 'options', 10_000_000],
    ['a million sockets opened and closed', 'sockets', 1_000_000],
    ['40,000 connections closed, in every mode', 'closes', 40_000],
    ['1,000 census runs', 'census', 1_000],
    ['1,000 workers started and ended with the addon in use', 'workers', 1_000],
  ])('makes nothing grow: %s', async (_, task, calls) => {
    const samples = (await namespace().perform('growth', { task, calls })) as Sample[]
    const rss = samples.map((sample) => sample.rss / MIB)
    process.stderr.write(`${task}: ${rss.map((mib) => mib.toFixed(1)).join(', ')} MiB\n`)
    expect(samples).toHaveLength(4)
    expect(new Set(samples.map(({ descriptors }) => descriptors)).size).toBe(1)
    expect(new Set(samples.map(({ resources }) => resources)).size).toBe(1)
    // The garbage collector gives memory back when it likes: the least that was held counts.
    const grown = Math.min(...rss.slice(2)) - Math.min(...rss.slice(0, 2))
    expect(grown).toBeLessThan(TOLERANCE_MIB)
  })
})

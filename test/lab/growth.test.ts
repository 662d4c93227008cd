import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import { steadyNode } from '../helpers/program'
import { size } from '../helpers/size'

/** The resources of the process after each quarter of its work. */
interface Sample {
  memory: number
  descriptors: number
  resources: number
}

const MIB = 2 ** 20
const QUARTERS = 4
/** Longer than the test takes on a busy machine. */
const DEADLINE_MS = 900_000
/** The allowed growth in a quarter of the calls. docs/evidence.md has the measurements and the detectable leaks. */
const TOLERANCE_MIB = 4

labDescribe('a task that is repeated very often', ['root', 'ip'], () => {
  const namespace = useNamespace()

  it.each([
    ['option calls', 'options', 10_000_000],
    ['sockets opened and closed', 'sockets', 1_000_000],
    ['connections closed, in every mode', 'closes', 40_000],
    ['census runs', 'census', 1_000],
    ['workers started and ended with the addon in use', 'workers', 1_000],
  ])(
    'makes no resource of the process grow: %s',
    async (_, task, callsAtFullSize) => {
      const calls = (callsAtFullSize * size('GROWTH_PERCENT')) / 100
      const { program } = await namespace().start('growth', { task }, steadyNode)
      const samples: Sample[] = []
      for (let quarter = 0; quarter < QUARTERS; quarter++) {
        samples.push((await program.ask('more', calls / QUARTERS)) as Sample)
      }
      await program.stop()
      const memory = samples.map((sample) => sample.memory / MIB)
      process.stderr.write(
        `${String(calls)} ${task}: ${memory.map((mib) => mib.toFixed(1)).join(', ')} MiB\n`,
      )
      expect(new Set(samples.map(({ descriptors }) => descriptors)).size).toBe(1)
      expect(new Set(samples.map(({ resources }) => resources)).size).toBe(1)
      // Memory rises while the program warms up, and falls when the garbage collector returns memory.
      const grown = Math.min(...memory.slice(2)) - Math.max(...memory.slice(0, 2))
      expect(grown).toBeLessThan(TOLERANCE_MIB)
    },
    DEADLINE_MS,
  )
})

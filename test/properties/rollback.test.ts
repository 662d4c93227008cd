import fc from 'fast-check'
import { configure, setOption, tune, type WritableOption } from '../../lib'
import { isPresent, rows, type Row } from '../options/rows'
import { closeAll } from '../sockets'
import { cases, snapshot, validValue, victimKind, victims } from './cases'

/** Options that are excluded, each with the reason. */
const leftOut = new Set([
  // They cannot be undone, or leave the socket in a state in which nothing else works.
  'SO_LOCK_FILTER',
  'TCP_REPAIR',
  'TCP_ULP',
  // It makes an IPv4 socket compute TCP_MAXSEG again, which reads differently until the socket is connected.
  'IP_OPTIONS',
  // Some of their side effects are neither restored nor reported (test/options/tune.test.ts).
  'SO_RCVLOWAT',
  'SO_RCVBUFFORCE',
  'SO_SNDBUFFORCE',
])

const settable = rows.filter(
  (row) => (row.access === 'w' || row.access === 'rw') && isPresent(row) && !leftOut.has(row.name),
)

const settings: fc.Arbitrary<[string, unknown][]> = fc
  .uniqueArray(fc.constantFrom<Row[]>(...settable), {
    minLength: 1,
    maxLength: 6,
    selector: ({ name }) => name,
  })
  .chain((chosen) =>
    fc.tuple(...chosen.map((row) => fc.tuple(fc.constant<string>(row.name), validValue(row)))),
  )

describe('tune() that throws', () => {
  it('restores every option of the socket except those in notRestored', () => {
    let threw = 0
    fc.assert(
      fc.property(victimKind, settings, settings, (kind, earlier, later) => {
        configure({ hazards: 'ignore' })
        const fd = victims[kind]()
        for (const [name, value] of earlier) {
          try {
            setOption(fd, name as WritableOption, value as never)
          } catch {
            // The state before does not matter, as long as it is any.
          }
        }
        const before = snapshot(fd)
        try {
          tune(fd, {
            ...Object.fromEntries(later),
            TCP_CONGESTION: 'no_such_algo',
          })
        } catch (error) {
          threw++
          const { notRestored = [] } = error as { notRestored?: readonly string[] }
          const changed = snapshot(fd).filter((line, index) => line !== before[index])
          const unexpected = changed.filter(
            (line) => !isNamed(line.split(' ')[0] ?? '', notRestored),
          )
          expect(unexpected).toEqual([])
        }
        closeAll()
      }),
      { numRuns: cases(5_000) },
    )
    expect(threw).toBeGreaterThan(0)
  })
})

/** Whether the option is in the list, or is a side effect of one in the list. */
function isNamed(name: string, notRestored: readonly string[]): boolean {
  return rows.some(
    (row) =>
      notRestored.includes(row.name) &&
      (row.name === name || row.alsoChanges?.includes(name) === true),
  )
}

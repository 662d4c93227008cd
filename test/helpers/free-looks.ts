/**
 * Watches of ports that look as often as their interval says. A real look takes some processor time, and a watch
 * pauses 250 times as long after it; how long is the subject of test/ports/pace.test.ts.
 */
import { native } from '../../lib/kernel/binding'

/** Until jest.restoreAllMocks(), what the kernel's dumps cost counts as nothing. */
export function dumpsCostNothing(): void {
  const dump = native.dumpSockets.bind(native)
  jest.spyOn(native, 'dumpSockets').mockImplementation((families, states, groupBy, filter, done) =>
    dump(families, states, groupBy, filter, (total, records, interrupted) => {
      done(total, records, interrupted, 0)
    }),
  )
}

/** Until jest.restoreAllMocks(), the same holds for all of a look. */
export function looksCostNothing(): void {
  dumpsCostNothing()
  jest.spyOn(process, 'cpuUsage').mockReturnValue({ user: 0, system: 0 })
}

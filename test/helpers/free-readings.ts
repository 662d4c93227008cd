/**
 * Makes watches of ports take readings exactly at their interval. A real reading uses some processor time, and the
 * watch then pauses at least 250 times as long; test/ports/reading-pace.test.ts tests that.
 */
import { native } from '../../lib/kernel/binding'

/** Makes the kernel's dumps cost nothing, until jest.restoreAllMocks(). */
export function dumpsCostNothing(): void {
  const dump = native.dumpSockets.bind(native)
  jest.spyOn(native, 'dumpSockets').mockImplementation((families, states, groupBy, filter, done) =>
    dump(families, states, groupBy, filter, (total, records, interrupted) => {
      done(total, records, interrupted, 0)
    }),
  )
}

/** Makes a whole reading cost nothing, until jest.restoreAllMocks(). */
export function readingsCostNothing(): void {
  dumpsCostNothing()
  jest.spyOn(process, 'cpuUsage').mockReturnValue({ user: 0, system: 0 })
}

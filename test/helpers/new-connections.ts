/**
 * The connections of the running test, in the network namespace that all tests share. Left out are
 * those that were there before it: listen(2) on port 0 may give a port that an earlier test's
 * connections still have in TIME_WAIT, at one end or the other.
 */
import { countStates, readTable, type End, type StateCounts } from './tcp-table'

let before = new Set<string>()

beforeEach(() => {
  before = new Set(lines().map(endsOf))
})

export function countNewStates(end: End): StateCounts {
  const added = lines().filter((line) => !before.has(endsOf(line)))
  return countStates(added.join('\n'), end)
}

function lines(): string[] {
  return readTable().split('\n')
}

/** Both addresses with their ports, as the kernel prints them. */
function endsOf(line: string): string {
  const [, local = '', remote = ''] = line.trim().split(/\s+/)
  return `${local} ${remote}`
}

/**
 * Counts the connections of the running test in the network namespace that all tests share. Older connections are
 * not counted: for port 0, the kernel may choose a port that an earlier test left in TIME_WAIT.
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

/** Returns both addresses and ports as the kernel prints them. */
function endsOf(line: string): string {
  const [, local = '', remote = ''] = line.trim().split(/\s+/)
  return `${local} ${remote}`
}

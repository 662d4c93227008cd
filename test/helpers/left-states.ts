import { readTable, stateOf, type Connection, type State } from './tcp-table'
import { until } from './until'

/** What connections leave at the ends in question, once all are over: TIME_WAIT or nothing. */
export function leftStates(ends: readonly Connection[]): Promise<(State | undefined)[]> {
  return until(
    'the connections are over',
    () => {
      const table = readTable()
      return ends.map((end) => stateOf(table, end))
    },
    (states) => states.every((state) => state === undefined || state === 'TIME_WAIT'),
  )
}

/** How many of them leave TIME_WAIT. */
export async function timeWaitsLeft(ends: readonly Connection[]): Promise<number> {
  const states = await leftStates(ends)
  return states.filter((state) => state === 'TIME_WAIT').length
}

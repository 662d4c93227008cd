import { readTable, stateOf, type Connection, type State } from './tcp-table'
import { until } from './until'

/** Returns the state that each connection leaves at its end, once all have ended: TIME_WAIT or none. */
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

/** Returns the number of connections that leave TIME_WAIT. */
export async function timeWaitsLeft(ends: readonly Connection[]): Promise<number> {
  const states = await leftStates(ends)
  return states.filter((state) => state === 'TIME_WAIT').length
}

/** The functions that autocannon calls with each of its clients, in the main thread and in its workers. */
import { SourcePool } from '../../connect/source-pool'
import { closeModes } from '../../close/modes'
import { plainClose } from '../../close/close-options'
import { connectorOf, type Connector } from '../../connect/connector'
import { tuningOptions } from '../../connect/tuning'
import { fn, spec, type InputOf } from '../../spec'
import { CountedConnections } from './counted-connections'
import { SharedCounters } from './socket-counters'
import type { Autocannon, SetupClient } from './peer'
import { tuneClient, type Client } from './tune-client'

export const autocannonTuning = spec({
  ...tuningOptions.fields,
  /** Default `'deliver'`. */
  close: tuningOptions.fields.close.default(plainClose(closeModes.deliver)),
  /** The module to use, where `require('autocannon')` does not find it from here. */
  autocannon: fn<Autocannon>(),
})

/** How the connections are opened and closed: `close` is `'deliver'` unless it is given. */
export type AutocannonTuning = Readonly<InputOf<typeof autocannonTuning>>

/** The part of the tuning that can be passed to a worker. */
export type ClientTuning = Omit<AutocannonTuning, 'autocannon'> & {
  readonly autocannon?: undefined
}

/** The option by which autocannon passes a {@link Task} on to its workers. */
export const TASK = 'socketTuner'

/** The data for a worker, which is cloned (HTML, StructuredSerialize). */
export interface Task {
  readonly tuning: ClientTuning
  readonly counters: SharedArrayBuffer
  /** The caller's own module. */
  readonly setupClient: string | undefined
}

/** @throws what Connector and SourcePool throw */
export function prepare(tuning: ClientTuning): Connector {
  return connectorOf(autocannonTuning.check('tuning', tuning))
}

export function taskOf(
  tuning: AutocannonTuning,
  { memory }: SharedCounters,
  setupClient: SetupClient | undefined,
): Task {
  const { source } = tuning
  return {
    // Neither a function nor a pool can be cloned: each worker has a pool of its own.
    tuning: {
      ...tuning,
      source: source instanceof SourcePool ? source.addresses : source,
      autocannon: undefined,
    },
    counters: memory,
    setupClient: typeof setupClient === 'string' ? setupClient : undefined,
  }
}

/** Returns a function that tunes a client, then calls the caller's own `setupClient`. */
export function setupOf(
  connections: CountedConnections,
  setupClient: SetupClient | undefined,
): (client: Client) => void {
  const own = typeof setupClient === 'string' ? load(setupClient) : setupClient
  return (client) => {
    tuneClient(client, connections)
    ;(own as ((client: Client) => void) | undefined)?.(client)
  }
}

/** Returns the same function in a worker. */
export function setupOfTask({ tuning, counters, setupClient }: Task): (client: Client) => void {
  return setupOf(new CountedConnections(prepare(tuning), new SharedCounters(counters)), setupClient)
}

function load(path: string): SetupClient {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- the caller's module, as autocannon loads it
  return require(path) as SetupClient
}

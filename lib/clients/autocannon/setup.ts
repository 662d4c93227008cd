/** What autocannon calls with each client that it makes, in the main thread and in its workers. */
import { SourcePool } from '../../connect/source-pool'
import { closeModes } from '../../close/modes'
import { plainClose } from '../../close/options'
import { connectorOf, type Connector } from '../../connect/connector'
import { tuningOptions } from '../../connect/tuning'
import { custom, fn, spec, type InputOf } from '../../spec'
import { Connections } from './connections'
import { SharedCounters } from './counters'
import type { Autocannon, SetupClient } from './peer'
import { tuneClient, type Client } from './tune-client'

const oneSource = tuningOptions.fields.source

export const autocannonTuning = spec({
  ...tuningOptions.fields,
  /** Default `'deliver'`. */
  close: tuningOptions.fields.close.default(plainClose(closeModes.deliver)),
  /**
   * Where connections come from: an address of this host, several, or a pool of them. Each worker
   * thread spreads its own connections over the addresses and knows nothing of the others'.
   */
  source: custom<string | readonly string[] | SourcePool, string | SourcePool | undefined>(
    `${oneSource.takes}, or an array of IP addresses`,
    (argument, value) => (isList(value) ? new SourcePool(value) : oneSource.check(argument, value)),
  ),
  /** The module to use, where `require('autocannon')` does not find it from here. */
  autocannon: fn<Autocannon>(),
})

/** How the connections are opened and closed: `close` is `'deliver'` unless it is given. */
export type AutocannonTuning = Readonly<InputOf<typeof autocannonTuning>>

/** The part of it that is for each connection, and that a worker can be told. */
export type ClientTuning = Omit<AutocannonTuning, 'autocannon'> & {
  readonly autocannon?: undefined
}

/** The option of autocannon's that carries a {@link Task} to its workers. */
export const TASK = 'socketTuner'

/** All that a worker has to know; it is cloned on the way (HTML, StructuredSerialize). */
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

function isList(source: unknown): source is readonly string[] {
  return Array.isArray(source)
}

export function taskOf(
  tuning: AutocannonTuning,
  { memory }: SharedCounters,
  setupClient: SetupClient | undefined,
): Task {
  const { source } = tuning
  return {
    // What is a function cannot be cloned.
    tuning: {
      ...tuning,
      source: source instanceof SourcePool ? source.addresses : source,
      autocannon: undefined,
    },
    counters: memory,
    setupClient: typeof setupClient === 'string' ? setupClient : undefined,
  }
}

/** Tunes a client, then calls what the caller gave for it. */
export function setupOf(
  connections: Connections,
  setupClient: SetupClient | undefined,
): (client: Client) => void {
  const own = typeof setupClient === 'string' ? load(setupClient) : setupClient
  return (client) => {
    tuneClient(client, connections)
    ;(own as ((client: Client) => void) | undefined)?.(client)
  }
}

/** The same in a worker. */
export function setupOfTask({ tuning, counters, setupClient }: Task): (client: Client) => void {
  return setupOf(new Connections(prepare(tuning), new SharedCounters(counters)), setupClient)
}

function load(path: string): SetupClient {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- the caller's module, as autocannon loads it
  return require(path) as SetupClient
}

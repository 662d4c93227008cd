/** What autocannon calls with each client that it makes, in the main thread and in its workers. */
import { SourcePool } from '../../connect/source-pool'
import { prepareTuning, type Tuning, type TuningOptions } from '../../connect/tuning'
import { Connections } from './connections'
import { SharedCounters } from './counters'
import type { SetupClient } from './peer'
import { tuneClient, type Client } from './tune-client'

/** A tuning whose source may also be several addresses. */
export interface ClientTuning extends Omit<TuningOptions, 'source'> {
  readonly source?: string | readonly string[] | SourcePool | undefined
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

/** @throws what prepareTuning() and SourcePool throw */
export function prepare({ source, closeMode = 'deliver', ...rest }: ClientTuning): Tuning {
  return prepareTuning({
    ...rest,
    closeMode,
    source: isList(source) ? new SourcePool(source) : source,
  })
}

function isList(source: unknown): source is readonly string[] {
  return Array.isArray(source)
}

export function taskOf(
  { source, ...rest }: ClientTuning,
  { memory }: SharedCounters,
  setupClient: SetupClient | undefined,
): Task {
  return {
    tuning: { ...rest, source: source instanceof SourcePool ? source.addresses : source },
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

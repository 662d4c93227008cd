/** Runs many short connections, each with a request, an answer, a last message of the client, and a close. */
import type { CloseModeName, CloseOptions } from '../../lib'
import type { Certificate } from './certificate'
import type { Namespace } from './namespace'
import type { Program } from './program'
import { until } from './until'

/** The sizes of test/lab/programs/sizes.js, bytes. */
const REQUEST = 64
const ANSWER = 1000
const PARTING = 256

export interface CycleConfig {
  host: string
  cycles: number
  /** The function with which the client closes. */
  way: 'closeSocket' | 'destroySoon' | 'destroy' | 'end' | 'dispose'
  /** The close mode. By default, Node's own close. */
  mode?: CloseModeName
  options?: Omit<CloseOptions, 'mode'>
  certificate?: Certificate
  /** Opens no more connections after this time. */
  stopAfterMs?: number
}

export interface CycleRun {
  client: {
    completed: number
    /** The number of bytes in answers. */
    bytes: number
    errors: Record<string, number>
    /** The reports of closeSocket(), counted by their content. */
    reports: Record<string, number>
    discardedBytes: number
    /** TIME_WAIT entries in the namespace, sampled ten times during the run. */
    samples: number[]
    warnings: string[]
  }
  server: {
    connections: number
    /** The number of bytes in requests and last messages. */
    bytes: number
    ends: number
    closed: number
    errors: Record<string, number>
  }
  /** The TIME_WAIT entries left at each end. */
  timeWaits: { client: number; server: number }
}

/** Runs client and server in separate processes, with 32 connections at a time. */
export async function runCycles(
  namespace: Namespace,
  { certificate, ...config }: CycleConfig,
): Promise<CycleRun> {
  const { host } = config
  const { server, port } = await namespace.serve('answer-server', { host, tls: certificate })
  const task = { ...config, port, atATime: 32, ca: certificate?.cert }
  const client = (await namespace.perform('cycle-client', task)) as CycleRun['client']
  const seen = await allClosed(server)
  const timeWaits = {
    client: await namespace.timeWaits({ remotePort: port }),
    server: await namespace.timeWaits({ localPort: port }),
  }
  await server.stop()
  return { client, server: seen, timeWaits }
}

function allClosed(server: Program): Promise<CycleRun['server']> {
  return until(
    'the server has closed all connections',
    async () => (await server.ask('seen')) as CycleRun['server'],
    ({ connections, closed }) => closed === connections,
  )
}

/** Asserts that each connection received its whole answer and ended without an error. */
export function expectNothingLost(
  { client, server }: CycleRun,
  cycles: number,
  warnings: string[] = [],
): void {
  expect(client).toMatchObject({
    completed: cycles,
    bytes: cycles * ANSWER,
    errors: {},
    discardedBytes: 0,
    warnings,
  })
  expect(server).toEqual({
    connections: cycles,
    bytes: cycles * (REQUEST + PARTING),
    ends: cycles,
    closed: cycles,
    errors: {},
  })
}

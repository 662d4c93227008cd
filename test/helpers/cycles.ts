/** Runs of many short connections: request, answer, a last word of the client, close. */
import type { CloseModeName, CloseOptions } from '../../lib'
import type { Certificate } from './certificate'
import type { Namespace } from './namespace'
import type { Program } from './program'
import { until } from './until'

/** As in test/lab/programs/sizes.js. */
const REQUEST = 64
const ANSWER = 1000
const PARTING = 256

export interface CycleConfig {
  host: string
  cycles: number
  /** What the client calls to close. */
  way: 'closeSocket' | 'destroySoon' | 'destroy'
  /** undefined leaves the socket as Node makes it. */
  mode?: CloseModeName
  options?: Omit<CloseOptions, 'mode'>
  certificate?: Certificate
  /** Opens no more connections after this time. */
  stopAfterMs?: number
}

export interface CycleRun {
  client: {
    completed: number
    /** Bytes of answers. */
    bytes: number
    errors: Record<string, number>
    /** How often closeSocket() reported what. */
    reports: Record<string, number>
    discardedBytes: number
    /** TIME_WAIT entries in the namespace, sampled ten times while the run was on. */
    samples: number[]
    warnings: string[]
  }
  server: {
    connections: number
    /** Bytes of requests and of last words. */
    bytes: number
    ends: number
    closed: number
    errors: Record<string, number>
  }
  /** Left at each end. */
  timeWaits: { client: number; server: number }
}

/** Client and server run in processes of their own, 32 connections at a time. */
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

/** Asserts that each connection had its answer and a clean end, without an error, to the last byte. */
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

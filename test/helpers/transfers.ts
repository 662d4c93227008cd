/** Runs in which a client writes, closes at once, and the server reads late. */
import type { CloseReport, CloseOptions } from '../../lib'
import type { Namespace } from './namespace'
import { until } from './until'

export interface TransferConfig {
  host: string
  /** At most 256. */
  connections: number
  atATime: number
  /** Written to the first connection. */
  bytes: number
  /** So many fewer are written to each connection than to the one before. */
  fewerEach?: number
  /** How long the server does not read, ms. */
  pauseMs: number
  /** The server sends something in the middle of that time. */
  speaks?: boolean
  options: CloseOptions
}

/** One connection: what the client's close reported and what the server saw. */
export interface Transfer {
  written: number
  report: CloseReport
  received: { client: number; bytes: number; ended: boolean; closed: boolean; error?: string }
}

export interface TransferRun {
  port: number
  transfers: Transfer[]
  /** Codes of the client's process warnings. */
  warnings: string[]
}

export async function runTransfers(
  { from, to }: { from: Namespace; to: Namespace },
  { pauseMs, speaks, ...config }: TransferConfig,
): Promise<TransferRun> {
  const { host, connections } = config
  const { server, port } = await to.serve('late-reader', { host, pauseMs, speaks })
  const { sent, warnings } = (await from.perform('sender', { ...config, port })) as {
    sent: { client: number; written: number; report: CloseReport }[]
    warnings: string[]
  }
  const seen = await until(
    'the server has closed all connections',
    async () => (await server.ask('seen')) as Transfer['received'][],
    (all) => all.filter(({ closed }) => closed).length === connections,
    120_000,
  )
  await server.stop()
  const transfers = sent.map(({ client, written, report }) => {
    const received = seen.find((connection) => connection.client === client)
    if (received === undefined) throw new Error(`connection ${String(client)} never arrived`)
    return { written, report, received }
  })
  return { port, transfers, warnings }
}

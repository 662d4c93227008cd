/** Runs in which a client writes and closes at once, and the server reads late. */
import type { CloseReport, CloseOptions } from '../../lib'
import type { Namespace } from './namespace'
import { until } from './until'

export interface TransferConfig {
  host: string
  /** The number of connections, at most 256. */
  connections: number
  atATime: number
  /** Bytes written to the first connection. */
  bytes: number
  /** By how many bytes each connection writes less than the previous one. */
  fewerEach?: number
  /** The time for which the server does not read, ms. */
  pauseMs: number
  /** The server sends data in the middle of that time. */
  speaks?: boolean
  options: CloseOptions
}

/** One connection: the report of the client's close, and the data that the server received. */
export interface Transfer {
  written: number
  report: CloseReport
  received: { client: number; bytes: number; ended: boolean; closed: boolean; error?: string }
}

export interface TransferRun {
  port: number
  transfers: Transfer[]
  /** The codes of the client's process warnings. */
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

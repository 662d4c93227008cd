/** Connections whose two ends run in separate processes, both controlled by the test. */
import type { CloseReport, CloseOptions } from '../../lib'
import type { Namespace } from './namespace'
import type { Program } from './program'
import { until } from './until'

export interface PeerSeen {
  bytes: number
  ended: boolean
  closed: boolean
  /** The code of the socket's 'error'. */
  error?: string
  /** The codes of the process warnings. */
  warnings: string[]
}

/** The report of closeSocket() in the other process, as sent to this one. */
export type SentReport = Omit<CloseReport, 'error'> & { error?: { code?: string } }

/** One end of a connection. It reads only after `read()`. */
export class Peer {
  readonly #program: Program

  constructor(program: Program) {
    this.#program = program
  }

  async write(bytes: number): Promise<void> {
    await this.#program.ask('write', bytes)
  }

  async read(): Promise<void> {
    await this.#program.ask('read')
  }

  /** Half-closes. */
  async end(): Promise<void> {
    await this.#program.ask('end')
  }

  async reset(): Promise<void> {
    await this.#program.ask('reset')
  }

  async close(options: CloseOptions): Promise<SentReport> {
    return (await this.#program.ask('close', options)) as SentReport
  }

  /** Writes and closes in the same tick. */
  async writeAndClose(bytes: number, options: CloseOptions): Promise<SentReport> {
    return (await this.#program.ask('writeAndClose', { bytes, options })) as SentReport
  }

  /** Waits until its data is retransmitted. */
  async sendsAgain(): Promise<void> {
    await until(
      'a retransmission',
      () => this.#program.ask('retransmits'),
      (times) => Number(times) > 0,
    )
  }

  async seen(): Promise<PeerSeen> {
    return (await this.#program.ask('seen')) as PeerSeen
  }

  /** Returns its state once a condition is met. */
  async sees(what: string, isEnough: (seen: PeerSeen) => boolean): Promise<PeerSeen> {
    return until(what, () => this.seen(), isEnough)
  }
}

export interface Connected {
  client: Peer
  server: Peer
  /** The port of the server. */
  port: number
}

/** Connects a client in one namespace with a server in the same or another one. */
export async function connectPeers(
  { from, to }: { from: Namespace; to: Namespace },
  host = '127.0.0.1',
): Promise<Connected> {
  const { server, port } = await to.serve('peer', { host })
  const { program: client } = await from.start('peer', { host, port })
  await until(
    'the server has accepted',
    () => server.ask('isConnected'),
    (isConnected) => isConnected === true,
  )
  return { client: new Peer(client), server: new Peer(server), port }
}

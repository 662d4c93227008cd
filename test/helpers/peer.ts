/** Connections of which the test drives both ends, each in a process of its own. */
import type { CloseReport, CloseOptions } from '../../lib'
import type { Namespace } from './namespace'
import type { Program } from './program'
import { until } from './until'

export interface PeerSeen {
  bytes: number
  ended: boolean
  closed: boolean
  /** Code of what the socket emitted as 'error'. */
  error?: string
  /** Codes of the process warnings. */
  warnings: string[]
}

/** What closeSocket() reported, as it came out of the other process. */
export type SentReport = Omit<CloseReport, 'error'> & { error?: { code?: string } }

/** One end. It reads only after `read()`. */
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

  /** Waits until what it wrote is sent again. */
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

  /** What it has seen, once that is enough. */
  async sees(what: string, isEnough: (seen: PeerSeen) => boolean): Promise<PeerSeen> {
    return until(what, () => this.seen(), isEnough)
  }
}

export interface Connected {
  client: Peer
  server: Peer
  /** The server's. */
  port: number
}

/** Connects a client in one namespace with a server in another, or in the same. */
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

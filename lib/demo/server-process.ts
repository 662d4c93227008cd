/** Starts the demo's server for the client, and exchanges messages with it. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { within } from './deadline'
import type { FromServer, Observed, ServerPorts, Settle } from './protocol'

const DEADLINE_MS = 10_000

type Reply<T extends FromServer['type']> = Extract<FromServer, { type: T }>

export class ServerProcess {
  readonly #process: ChildProcess

  /** @param first the lowest port to listen on; 0 for any free ports */
  constructor(host: string, first: number) {
    this.#process = fork(join(__dirname, 'server-program.js'), [host, String(first)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
  }

  /** @throws (as a rejection) Error if the server ends, or does not reply for 10 s */
  async listening(): Promise<ServerPorts> {
    return (await this.#reply('listening')).ports
  }

  /**
   * Returns the server's observations on a port, once `connections` connections have closed.
   *
   * @throws as {@link listening}
   */
  async settled(port: number, connections: number): Promise<Observed> {
    const reply = this.#reply('settled')
    this.#process.send({ port, connections } satisfies Settle)
    return (await reply).observed
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exit = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exit
  }

  async #reply<T extends FromServer['type']>(type: T): Promise<Reply<T>> {
    const server = this.#process
    const stop = new AbortController()
    const { signal } = stop
    const reply = once(server, 'message', { signal }) as Promise<[FromServer]>
    const gone = once(server, 'exit', { signal }).then(([code, by]) => {
      throw new Error(`the server ended with ${String(by ?? code)}`)
    })
    try {
      const event = `the message '${type}' of the server`
      const [message] = await within(Promise.race([reply, gone]), DEADLINE_MS, event)
      // The client sends one request at a time, so the next message is its reply.
      if (message.type !== type) throw new TypeError(`the server sent '${message.type}'`)
      return message as Reply<T>
    } finally {
      reply.catch(() => undefined)
      gone.catch(() => undefined)
      stop.abort()
    }
  }
}

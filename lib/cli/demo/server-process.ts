/** The client's hold on the demo's server. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { within } from './connections'
import type { FromServer, Seen, ServerPorts, Settle } from './messages'

const DEADLINE_MS = 10_000

type Reply<T extends FromServer['type']> = Extract<FromServer, { type: T }>

export class ServerProcess {
  readonly #process: ChildProcess

  /** `first` is the lowest port to listen on; 0 for any that are free. */
  constructor(host: string, first: number) {
    this.#process = fork(join(__dirname, 'server.js'), [host, String(first)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
  }

  /** @throws Error when the server ends, or says nothing for 10 s; so do the other methods */
  async listening(): Promise<ServerPorts> {
    return (await this.#reply('listening')).ports
  }

  /** What the server saw of a port, once it has seen the end of all connections to it. */
  async settled(port: number, connections: number): Promise<Seen> {
    const reply = this.#reply('settled')
    this.#process.send({ port, connections } satisfies Settle)
    return (await reply).seen
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
      const [message] = await within(Promise.race([reply, gone]), DEADLINE_MS, `'${type}'`)
      // Questions are asked one at a time, so the next message is the answer.
      if (message.type !== type) throw new TypeError(`the server said '${message.type}'`)
      return message as Reply<T>
    } finally {
      reply.catch(() => undefined)
      gone.catch(() => undefined)
      stop.abort()
    }
  }
}

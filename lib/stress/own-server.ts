/** The server that the command starts when no target is named: a process of its own, on loopback. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

export interface OwnServer {
  /** One for each requested port. */
  readonly urls: readonly string[]
  stop(): Promise<void>
}

/**
 * @param ports the number of ports to listen on
 * @throws (as a rejection) Error if the server ends before it listens
 */
export async function startOwnServer(ports: number): Promise<OwnServer> {
  const child = fork(join(__dirname, 'own-server-program.js'), [String(ports)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const over = new AbortController()
  const { signal } = over
  const ready = once(child, 'message', { signal }) as Promise<[{ ports: readonly number[] }]>
  const ended = once(child, 'exit', { signal }).then(([code, by]) => {
    throw new Error(`The server of the command ended with ${String(by ?? code)}`)
  })
  try {
    const [{ ports: open }] = await Promise.race([ready, ended])
    return {
      urls: open.map((port) => `http://127.0.0.1:${String(port)}/`),
      stop: async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        const exit = once(child, 'exit')
        child.disconnect()
        await exit
      },
    }
  } finally {
    ready.catch(() => undefined)
    ended.catch(() => undefined)
    over.abort()
  }
}

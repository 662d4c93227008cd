/** Runs the built command as users do. */
import {
  fork,
  spawn,
  type ChildProcess,
  type ChildProcessWithoutNullStreams,
} from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const MAIN = join(__dirname, '..', '..', 'dist', 'cli', 'main.js')

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** A run of the command. Its child processes are found by a mark in the environment. */
export class Cli {
  readonly child: ChildProcessWithoutNullStreams
  readonly #mark = randomUUID()
  #stdout = ''
  #stderr = ''

  constructor(...args: readonly string[]) {
    this.child = spawn(process.execPath, [MAIN, ...args], {
      env: { ...process.env, SOCKET_TUNER_TEST: this.#mark },
    })
    this.child.stdin.end()
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text))
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text))
  }

  /** Resolves when the process has ended and no child holds its standard error open. */
  async closed(): Promise<Ended> {
    const [code, signal] = (await once(this.child, 'close')) as [number | null, NodeJS.Signals]
    return { code, signal, stdout: this.#stdout, stderr: this.#stderr }
  }

  /** Resolves as soon as standard output contains the text. */
  async printed(text: string): Promise<void> {
    while (!this.#stdout.includes(text)) await once(this.child.stdout, 'data')
  }

  /** Returns the processes of this run that this user may see, on Linux. */
  processes(): number[] {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0 && isOf(pid, this.#mark))
  }
}

/** Runs the command until it exits. */
export async function run(...args: readonly string[]): Promise<Ended> {
  return new Cli(...args).closed()
}

let printing: ChildProcess | undefined

// The process exits when its channel is closed, and then writes V8's coverage.
afterAll(async () => {
  if (printing?.connected !== true) return
  const ended = once(printing, 'exit')
  printing.disconnect()
  await ended
})

/**
 * Runs a command that only prints. All commands of a test file share a process, which saves time.
 * The code is null for a command that did not finish at once.
 */
export async function print(...args: readonly string[]): Promise<Ended> {
  printing ??= fork(join(__dirname, 'printing-program.js'))
  const over = new AbortController()
  const { signal } = over
  const ended = Promise.race([
    once(printing, 'message', { signal }),
    once(printing, 'exit', { signal }).then((status) => {
      throw new Error(`The program ended: ${JSON.stringify(status)}`)
    }),
  ])
  printing.send(args)
  try {
    return ((await ended) as [Ended])[0]
  } finally {
    over.abort()
  }
}

function isOf(pid: number, mark: string): boolean {
  try {
    return readFileSync(`/proc/${String(pid)}/environ`, 'latin1').includes(mark)
  } catch {
    return false
  }
}

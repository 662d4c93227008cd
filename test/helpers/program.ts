/** The programs of the lab: servers and clients in separate processes and network namespaces. */
import { type ChildProcess, spawn } from 'node:child_process'
import * as path from 'node:path'
import type { CommandLine } from './command'

/**
 * For programs whose memory is measured: fixes the young generation at semi-spaces of 1 MiB. Otherwise V8 enlarges it
 * up to 16 times, depending on the objects that survive collections, and not on the memory that the program uses.
 */
export const steadyNode: CommandLine = [process.execPath, '--max-semi-space-size=1']

const PROGRAMS = path.join(__dirname, '..', 'lab', 'programs')
const ANSWER_DEADLINE_MS = 240_000

interface Message {
  /** Undefined in the first message, which reports that the program is ready. */
  id?: number
  result?: unknown
  error?: string
}

interface Waiting {
  resolve: (result: unknown) => void
  reject: (error: Error) => void
  deadline: NodeJS.Timeout
}

/** A running program of test/lab/programs. It ends when it is stopped, or when the process of the test ends. */
export class Program {
  readonly #name: string
  readonly #child: ChildProcess
  readonly #waiting = new Map<number | undefined, Waiting>()
  readonly #exited: Promise<void>
  #errors = ''
  #lastId = 0

  /** Use `Namespace.start`, which waits until the program is ready. */
  constructor(
    name: string,
    config: object,
    prefix: CommandLine,
    node: CommandLine = [process.execPath],
  ) {
    this.#name = name
    const file = path.join(PROGRAMS, `${name}.js`)
    const [command, ...args] = [...prefix, ...node, file, JSON.stringify(config)] as const
    this.#child = spawn(command, args, { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text
    })
    this.#child.on('message', (message: Message) => {
      this.#settle(message)
    })
    this.#exited = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        this.#fail(`ended with ${String(code ?? signal)}: ${this.#errors}`)
        resolve()
      })
      this.#child.on('error', (error) => {
        this.#fail(error.message)
        resolve()
      })
    })
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  /** The standard error of the program, which includes Node's warnings. */
  get errors(): string {
    return this.#errors
  }

  /** Resolves with the first message of the program, which it sends when it is ready. */
  ready(): Promise<unknown> {
    return this.#wait(undefined, 'ready')
  }

  /** Sends the program a request and waits for the answer. */
  async ask(question: string, detail?: unknown): Promise<unknown> {
    const id = ++this.#lastId
    this.#child.send({ id, question, detail })
    return this.#wait(id, question)
  }

  async stop(): Promise<void> {
    // A killed program does not write its coverage by itself.
    if (process.env.NODE_V8_COVERAGE !== undefined && this.#child.connected)
      await this.ask('takeCoverage').catch(() => undefined)
    if (this.#child.exitCode === null && this.#child.signalCode === null)
      this.#child.kill('SIGKILL')
    await this.#exited
  }

  #wait(id: number | undefined, what: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new Error(`${this.#name} did not answer '${what}': ${this.#errors}`))
      }, ANSWER_DEADLINE_MS)
      this.#waiting.set(id, { resolve, reject, deadline })
    })
  }

  #settle({ id, result, error }: Message): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    this.#waiting.delete(id)
    clearTimeout(waiting.deadline)
    if (error === undefined) waiting.resolve(result)
    else waiting.reject(new Error(`${this.#name}: ${error}`))
  }

  #fail(why: string): void {
    for (const { reject, deadline } of this.#waiting.values()) {
      clearTimeout(deadline)
      reject(new Error(`${this.#name} ${why}`))
    }
    this.#waiting.clear()
  }
}

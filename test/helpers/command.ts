/** Commands that run in parallel to a test, such as strace. */
import { type ChildProcess, spawn } from 'node:child_process'
import { until } from './until'

/** A command and its arguments. */
export type CommandLine = readonly [string, ...string[]]

export class Command {
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  #output = ''

  constructor([command, ...args]: CommandLine) {
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text
      })
    }
    this.#ended = new Promise((resolve) => {
      this.#child.on('close', () => {
        resolve()
      })
      this.#child.on('error', (error) => {
        this.#output += error.message
        resolve()
      })
    })
  }

  /** Its standard output and standard error so far. */
  get output(): string {
    return this.#output
  }

  /** Waits until it has written this text this many times. */
  async wrote(pattern: RegExp, times = 1): Promise<void> {
    const all = new RegExp(pattern, `${pattern.flags}g`)
    await until(
      String(pattern),
      () => this.#output,
      (output) => (output.match(all)?.length ?? 0) >= times,
    )
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(signal)
    await this.#ended
  }
}

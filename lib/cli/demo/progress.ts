import type * as tty from 'node:tty'

/**
 * What is shown while the demo runs: on a terminal one line that is written over, elsewhere a plain
 * line for each step. Uses no escape sequences.
 */
export class Progress {
  readonly #stream: tty.WriteStream
  readonly #silent: boolean
  /** Length of the line that stands there to be written over. */
  #length = 0

  constructor(stream: tty.WriteStream, silent: boolean) {
    this.#stream = stream
    this.#silent = silent
  }

  /** A line that stays. */
  line(text: string): void {
    if (this.#silent) return
    this.clear()
    this.#stream.write(`${text}\n`)
  }

  /** A line that the next one is written over; on a terminal only. */
  show(text: string): void {
    if (this.#silent || !this.#onTerminal) return
    // A line as wide as the terminal would wrap, and could not be written over. Some terminals say 0.
    const line = text.slice(0, (this.#stream.columns || 80) - 1)
    this.#stream.write(`\r${line.padEnd(this.#length)}`)
    this.#length = line.length
  }

  /** The end of a step. */
  step(text: string): void {
    if (this.#onTerminal) this.show(text)
    else this.line(text)
  }

  clear(): void {
    if (this.#length === 0) return
    this.#stream.write(`\r${' '.repeat(this.#length)}\r`)
    this.#length = 0
  }

  get #onTerminal(): boolean {
    return (this.#stream as { isTTY?: boolean }).isTTY === true
  }
}

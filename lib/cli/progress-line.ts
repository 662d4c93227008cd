import type * as tty from 'node:tty'

/**
 * Shows progress: on a terminal in one line that is overwritten, elsewhere as a plain line for each step.
 * Uses no escape sequences.
 */
export class ProgressLine {
  readonly #stream: tty.WriteStream
  readonly #silent: boolean
  /** Length of the line to be overwritten. */
  #length = 0

  constructor(stream: tty.WriteStream, silent: boolean) {
    this.#stream = stream
    this.#silent = silent
  }

  /** Prints a line that stays. */
  line(text: string): void {
    if (this.#silent) return
    this.clear()
    this.#stream.write(`${text}\n`)
  }

  /** Prints a line that the next one overwrites; on a terminal only. */
  show(text: string): void {
    if (this.#silent || !this.#onTerminal) return
    // A line as wide as the terminal would wrap and could not be overwritten. Some terminals report 0 columns.
    const line = text.slice(0, (this.#stream.columns || 80) - 1)
    this.#stream.write(`\r${line.padEnd(this.#length)}`)
    this.#length = line.length
  }

  /** Shows the result of a step. */
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

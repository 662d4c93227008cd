/** The terminal, as long as `top` has it: another screen, no cursor, and keys one by one. */
import type { Look } from './render'

const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const CLEAR_LINE = '\u001b[K'
const CLEAR_BELOW = '\u001b[J'
const CONTROL_C = '\u0003'
const WIDTH = 120
const HEIGHT = 24

export interface Terminal {
  readonly output: NodeJS.WriteStream
  readonly input: NodeJS.ReadStream
}

/** What the terminal can show. */
export function lookOf(output: NodeJS.WriteStream, environment: NodeJS.ProcessEnv): Look {
  const { NO_COLOR = '', TERM, LC_ALL = '', LC_CTYPE = '', LANG = '' } = environment
  const isTerminal = output.isTTY
  return {
    width: isTerminal ? output.columns || WIDTH : Infinity,
    colour: isTerminal && NO_COLOR === '' && TERM !== 'dumb',
    // An empty one counts as none (locale(7)).
    unicode: /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG),
  }
}

export class Screen {
  readonly #output: NodeJS.WriteStream
  readonly #input: NodeJS.ReadStream
  readonly #quit: () => void
  readonly #redraw: () => void
  readonly #onKey = (key: Buffer): void => {
    const text = key.toString('latin1')
    if (text === 'q' || text === 'Q' || text.includes(CONTROL_C)) this.#quit()
  }

  /** @param redraw called when the terminal's size has changed */
  constructor({ output, input }: Terminal, quit: () => void, redraw: () => void) {
    this.#output = output
    this.#input = input
    this.#quit = quit
    this.#redraw = redraw
    output.write(ENTER)
    output.on('resize', redraw)
    if (!input.isTTY) return
    input.setRawMode(true)
    input.on('data', this.#onKey)
  }

  draw(lines: readonly string[]): void {
    const visible = lines.slice(0, Math.max(1, (this.#output.rows || HEIGHT) - 1))
    const text = visible.map((line) => `${line}${CLEAR_LINE}`).join('\n')
    this.#output.write(`${HOME}${text}${CLEAR_BELOW}`)
  }

  leave(): void {
    this.#output.off('resize', this.#redraw)
    this.#output.write(LEAVE)
    if (!this.#input.isTTY) return
    this.#input.off('data', this.#onKey)
    this.#input.setRawMode(false)
    this.#input.pause()
  }
}

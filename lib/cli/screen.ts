/** The terminal while a command draws on it: the alternate screen, no cursor, and unbuffered keys. */
import { contentOf, type ProcReader } from '../kernel/proc'

const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const CLEAR_LINE = '\u001b[K'
const CLEAR_BELOW = '\u001b[J'
/** Control-C is no signal while the terminal passes on each key. */
const QUIT = ['q', 'Q', '\u0003']
/** Lines of a terminal that reports none. */
const HEIGHT = 24

export interface Terminal {
  readonly output: NodeJS.WriteStream
  readonly input: NodeJS.ReadStream
}

/**
 * Whether a command can draw on its standard output: it must be a terminal with escape sequences, and the command must be
 * in its foreground. The kernel stops a command in the background that changes the mode of the keys.
 */
export function canDraw(output: NodeJS.WriteStream, environment: NodeJS.ProcessEnv): boolean {
  // Without a terminal, Node leaves `isTTY` undefined.
  const isTerminal = (output as { isTTY?: boolean }).isTTY === true
  return isTerminal && environment.TERM !== 'dumb' && !isInBackground()
}

/** Whether another process group has the foreground of the terminal: proc_pid_stat(5). False where it is not known. */
export function isInBackground(read: ProcReader = contentOf): boolean {
  const stat = read('/proc/self/stat')
  // The name of the program is in parentheses, and may contain spaces and parentheses itself.
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // 0 and -1 stand for a group of another PID namespace, and for no terminal.
  return foreground !== undefined && Number(foreground) > 0 && foreground !== group
}

export class Screen {
  readonly #output: NodeJS.WriteStream
  readonly #input: NodeJS.ReadStream
  readonly #quit: () => void
  readonly #redraw: () => void
  #isLeft = false
  readonly #onKey = (key: Buffer): void => {
    // Several keys may arrive at a time.
    for (const each of key.toString('latin1')) if (QUIT.includes(each)) this.#quit()
  }
  readonly #onExit = (): void => {
    this.leave()
  }
  // The terminal is gone: SIGHUP reports it.
  readonly #onError = (): void => undefined

  /**
   * @param quit called for each q and Control-C
   * @param redraw called when the size of the terminal has changed
   */
  constructor({ output, input }: Terminal, quit: () => void, redraw: () => void) {
    this.#output = output
    this.#input = input
    this.#quit = quit
    this.#redraw = redraw
    output.write(ENTER)
    output.on('resize', redraw)
    // Also after process.exit() and an uncaught exception.
    process.on('exit', this.#onExit)
    if (!input.isTTY) return
    input.setRawMode(true)
    input.on('data', this.#onKey)
    input.on('error', this.#onError)
  }

  /** The most lines that draw() shows. */
  get height(): number {
    return Math.max(1, (this.#output.rows || HEIGHT) - 1)
  }

  /** Overwrites the screen in one write: an erased screen would flicker. */
  draw(lines: readonly string[]): void {
    const visible = lines.slice(0, this.height)
    const text = visible.map((line) => `${line}${CLEAR_LINE}`).join('\n')
    this.#output.write(`${HOME}${text}${CLEAR_BELOW}`)
  }

  /** Restores the terminal. */
  leave(): void {
    if (this.#isLeft) return
    this.#isLeft = true
    process.off('exit', this.#onExit)
    this.#output.off('resize', this.#redraw)
    this.#output.write(LEAVE)
    if (!this.#input.isTTY) return
    this.#input.off('data', this.#onKey)
    this.#input.off('error', this.#onError)
    this.#input.setRawMode(false)
    this.#input.pause()
  }
}

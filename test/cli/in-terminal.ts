/** Runs the built command in a pseudo-terminal. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { closeLater } from '../sockets'

const MAIN = join(__dirname, '..', '..', 'dist', 'cli', 'main.js')
const TERMINAL = join(__dirname, 'terminal.py')

export interface TerminalSetup {
  /** Columns and rows, as in `80x24`. */
  readonly size?: string
  /** The size after {@link InTerminal.resize}. */
  readonly later?: string
  readonly environment?: Readonly<Record<string, string>>
}

export class InTerminal {
  readonly child: ChildProcess
  text = ''
  readonly ended: Promise<number | null>

  constructor(args: readonly string[], setup: TerminalSetup = {}) {
    const { size = '200x24', later = '30x24', environment = {} } = setup
    const command = [TERMINAL, size, later, process.execPath, MAIN, ...args]
    this.child = spawn('python3', command, {
      env: environmentWith(environment),
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    closeLater(() => this.child.kill('SIGKILL'))
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.text += text))
    this.ended = once(this.child, 'close').then(([code]) => code as number | null)
  }

  async shown(text: string | RegExp): Promise<void> {
    const isThere = (): boolean =>
      typeof text === 'string' ? this.text.includes(text) : text.test(this.text)
    while (!isThere()) {
      if (this.child.stdout === null) throw new Error('no output')
      await once(this.child.stdout, 'data')
    }
  }

  type(keys: string): void {
    this.child.stdin?.write(keys)
  }

  /** Gives the terminal its later size. */
  resize(): void {
    this.child.kill('SIGUSR1')
  }

  /** The complete drawings, each as its lines without escape sequences. */
  get drawings(): string[][] {
    const [, ...drawn] = this.text.split('\u001b[H')
    return drawn
      .filter((text) => text.includes('\u001b[J'))
      .map((text) => text.slice(0, text.indexOf('\u001b[J')))
      .map((text) => plain(text).split('\r\n'))
  }
}

/** Returns the text without escape sequences. */
export function plain(text: string): string {
  return text.replaceAll(/\u001b\[[?\d;]*[A-Za-z]/g, '')
}

function environmentWith(more: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const all: NodeJS.ProcessEnv = { ...process.env, LC_ALL: 'C.UTF-8', TERM: 'xterm', NO_COLOR: '' }
  // These variables determine whether Node assumes colours, whatever TERM is.
  delete all.CI
  delete all.FORCE_COLOR
  return { ...all, ...more }
}

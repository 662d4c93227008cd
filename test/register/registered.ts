/** Runs programs under socket-tuner/register, in separate processes. */
import { spawn, type ChildProcess } from 'node:child_process'
import * as path from 'node:path'
import { countNewStates } from '../helpers/new-connections'
import type { End } from '../helpers/tcp-table'
import { until } from '../helpers/until'
import { closeLater } from '../sockets'

export const REGISTER = path.join(__dirname, '..', '..', 'dist', 'register', 'index.js')
const DEADLINE_MS = 20_000

export interface RunOptions {
  /** The value of SOCKET_TUNER: an object is passed as JSON, a string unchanged. By default it is not set. */
  configuration?: unknown
  /** How register is loaded. Undefined runs the program without it. */
  how?: '--require' | '--import' | undefined
  debug?: boolean
  cwd?: string
}

export interface Ended {
  status: number | null
  stdout: string
  stderr: string
}

export class Registered {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  stdout = ''
  stderr = ''

  /** @param program an absolute path, or the name of a file in this folder */
  constructor(
    program: string,
    args: readonly string[],
    { configuration, debug = false, cwd, ...rest }: RunOptions,
  ) {
    const how = 'how' in rest ? rest.how : '--require'
    const env: NodeJS.ProcessEnv = { ...process.env }
    for (const name of ['SOCKET_TUNER', 'SOCKET_TUNER_DEBUG', 'NODE_OPTIONS']) env[name] = undefined
    if (configuration !== undefined)
      env.SOCKET_TUNER =
        typeof configuration === 'string' ? configuration : JSON.stringify(configuration)
    if (debug) env.SOCKET_TUNER_DEBUG = '1'
    const flags = how === undefined ? [] : [how, REGISTER]
    const file = path.resolve(__dirname, program)
    const options = { cwd, env, stdio: 'pipe' as const, timeout: DEADLINE_MS }
    const child = spawn(process.execPath, [...flags, file, ...args], options)
    this.child = child
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.ended = new Promise((resolve) => {
      child.on('close', (status) => {
        resolve({ status, stdout: this.stdout, stderr: this.stderr })
      })
    })
    closeLater(() => {
      child.kill('SIGKILL')
    })
  }

  /** Resolves with the port that its server prints. */
  async port(): Promise<number> {
    await this.printed('\n')
    return Number(this.stdout)
  }

  /** Resolves when the text was written to standard output. */
  async printed(text: string): Promise<void> {
    const ended = { yet: false }
    void this.ended.then(() => (ended.yet = true))
    await until(
      `printed ${text}`,
      () => this.stdout.includes(text) || ended.yet,
      (is) => is,
      DEADLINE_MS,
    )
    if (ended.yet) throw new Error(`ended: ${this.stderr}`)
  }

  /** Ends the standard input of the program, and waits for its exit. */
  stop(): Promise<Ended> {
    this.child.stdin?.end()
    return this.ended
  }
}

/** Runs a program until it exits. */
export function run(program: string, args: readonly string[], options: RunOptions): Promise<Ended> {
  return new Registered(program, args, options).ended
}

/** Returns the lines of register, without their prefix. */
export function linesOf(stderr: string): string[] {
  return [...stderr.matchAll(/^socket-tuner\[\d+\]: (.*)$/gm)].map(([, line = '']) => line)
}

/** Waits until all connections have ended, and returns the number of TIME_WAIT entries at one end. */
export async function timeWaits(end: End): Promise<number> {
  const { TIME_WAIT = 0 } = await until(
    'all connections are over',
    () => countNewStates(end),
    (states) => Object.keys(states).every((state) => state === 'TIME_WAIT'),
  )
  return TIME_WAIT
}

/** `socket-tuner demo`: starts the client, shows what it tells, and leaves no process behind. */
import { fork, type ChildProcess } from 'node:child_process'
import { constants as os } from 'node:os'
import { join } from 'node:path'
import type { DemoArguments } from '../arguments'
import { count } from '../text'
import type { FromClient, Place, Plan, Row } from './messages'
import { currentNamespace, namespaceRefusal, unshare } from './namespace'
import { Progress } from './progress'
import { describePlace, table, verdict } from './report'

/** No demo may take longer, whatever goes wrong. */
const DEADLINE_MS = 85_000
/** In which the client must have stopped its server and itself. */
const STOP_MS = 3_000

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
type Signal = (typeof signals)[number]

/** Returns the exit code. */
export async function runDemo(options: DemoArguments): Promise<number> {
  if (process.platform === 'win32') {
    throw new Error('The demo needs Linux or macOS: Node gives no descriptors on Windows')
  }
  const began = performance.now()
  const progress = new Progress(process.stdout, options.json)
  const refusal = options.loopback ? undefined : whyNoNamespace()
  let outcome: Outcome | undefined
  if (!options.loopback && refusal === undefined) {
    outcome = await new Run(options, true, progress).outcome
  }
  const why = outcome?.refused ?? refusal
  if (outcome === undefined || (outcome.refused !== undefined && outcome.signal === undefined)) {
    if (why !== undefined) progress.line(`No network namespace of its own: ${why}.`)
    outcome = await new Run(options, false, progress).outcome
  }
  progress.clear()
  if (outcome.signal !== undefined) return 128 + os.signals[outcome.signal]
  if (outcome.failed !== undefined) throw new Error(`The demo failed: ${outcome.failed}`)
  const { place, rows } = outcome
  if (place === undefined) throw new Error('The demo failed: its client did not say where it ran')
  const seconds = (performance.now() - began) / 1000
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ place, noNamespace: why ?? null, rows, seconds }, null, 2)}\n`
      : `\n${[...table(rows), '', ...verdict(place, rows), `It took ${count(seconds)} s.`].join('\n')}\n`,
  )
  return 0
}

function whyNoNamespace(): string | undefined {
  if (process.platform !== 'linux') return `${process.platform} has none`
  if (process.geteuid?.() !== 0) return 'that takes root'
  return namespaceRefusal()
}

interface Outcome {
  place?: Place
  rows: Row[]
  /** Why the namespace could not be used. */
  refused?: string
  failed?: string
  signal?: Signal
}

/** One client process, from its start to its end. */
class Run {
  readonly outcome: Promise<Outcome>
  readonly #progress: Progress
  readonly #client: ChildProcess
  readonly #state: Outcome = { rows: [] }
  #done = false
  #stopping: NodeJS.Timeout | undefined

  constructor(options: DemoArguments, inNamespace: boolean, progress: Progress) {
    this.#progress = progress
    const plan: Plan = {
      notNamespace: inNamespace ? currentNamespace() : null,
      connections: options.connections ?? null,
      seconds: options.seconds,
    }
    this.#client = fork(join(__dirname, 'client.js'), [JSON.stringify(plan)], {
      // Only a namespace has another program in front; it becomes node without another process.
      ...(inNamespace
        ? {
            execPath: unshare.program,
            execArgv: [...unshare.args, process.execPath, ...process.execArgv],
          }
        : {}),
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.outcome = this.#run()
  }

  async #run(): Promise<Outcome> {
    const stop = (signal: Signal): void => {
      if (this.#state.signal !== undefined) this.#client.kill('SIGKILL')
      this.#state.signal = signal
      this.#progress.clear()
      this.#stop()
    }
    for (const signal of signals) process.on(signal, stop)
    const deadline = setTimeout(() => {
      this.#state.failed = `it was not done within ${String(DEADLINE_MS / 1000)} s`
      this.#stop()
    }, DEADLINE_MS)
    this.#client.on('message', (message: FromClient) => {
      this.#take(message)
    })
    await this.#end()
    clearTimeout(deadline)
    clearTimeout(this.#stopping)
    for (const signal of signals) process.off(signal, stop)
    return this.#state
  }

  /** Waits for the end of the client and of the channel, which may have a message left. */
  #end(): Promise<void> {
    const client = this.#client
    return new Promise((resolve) => {
      const ended = (): void => {
        if (client.connected || (client.exitCode === null && client.signalCode === null)) return
        if (!this.#done && this.#state.refused === undefined) {
          this.#state.failed ??= `the client ended with ${client.signalCode ?? String(client.exitCode)}`
        }
        resolve()
      }
      client.on('exit', ended)
      client.on('disconnect', ended)
      client.on('error', (error) => {
        this.#state.failed ??= error.message
        if (client.pid === undefined) resolve()
      })
    })
  }

  /** The client ends when the channel is closed, after it has ended the server. */
  #stop(): void {
    if (this.#client.connected) this.#client.disconnect()
    this.#stopping ??= setTimeout(() => this.#client.kill('SIGKILL'), STOP_MS)
  }

  #take(message: FromClient): void {
    switch (message.type) {
      case 'refused':
        this.#state.refused = message.why
        return
      case 'place':
        this.#state.place = message.place
        for (const line of describePlace(message.place)) this.#progress.line(line)
        return
      case 'progress':
        this.#progress.show(
          `${message.mode}: ${count(message.made)} of ${count(message.of)} connections, ${count(message.perSecond)}/s`,
        )
        return
      case 'row': {
        const { mode, connections, seconds, atLast } = message.row
        this.#state.rows.push(message.row)
        this.#progress.step(
          `${mode}: ${count(connections)} connections in ${seconds.toFixed(1)} s, ${count(atLast)}/s at last`,
        )
        return
      }
      case 'failed':
        this.#state.failed = message.why
        return
      case 'done':
        this.#done = true
    }
  }
}

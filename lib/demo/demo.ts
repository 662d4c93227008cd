/** Runs the demo: starts its client, passes its reports on, and leaves no process behind. */
import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { currentNamespace, namespaceRefusal, unshare } from './namespace'
import type { DemoPlace, DemoPlan, DemoProgress, FromClient, ModeResult } from './protocol'

export type { DemoPlace, DemoProgress, ModeResult } from './protocol'

export interface DemoOptions {
  /** Connections in each mode; undefined for the default of the place. */
  readonly connections: number | undefined
  /** Time limit of each mode, s. */
  readonly seconds: number
  /** Runs on loopback even where a network namespace could be created. */
  readonly loopback: boolean
}

/** Called while the demo runs. */
export interface DemoObserver {
  noNamespace(why: string): void
  place(place: DemoPlace): void
  progress(progress: DemoProgress): void
  result(result: ModeResult): void
}

export interface Demo {
  readonly place: DemoPlace
  /** Why the demo could not run in a network namespace of its own; null if it did, or if `loopback` was set. */
  readonly noNamespace: string | null
  /** One for each close mode. */
  readonly results: readonly ModeResult[]
  readonly seconds: number
}

/** The signals that end the demo early. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

type EndingSignal = (typeof signals)[number]

/** The demo is stopped after this time, whatever happens. */
const DEADLINE_MS = 85_000
/** The client is killed if it has not stopped its server and itself within this time. */
const STOP_MS = 3_000

/**
 * Opens and closes many connections in each close mode. As root on Linux it does so in a network namespace of
 * its own, otherwise on loopback.
 *
 * @returns the figures; or the signal that ended the demo
 * @throws (as a rejection) Error on Windows, if the client fails, and if the demo takes more than 85 s
 */
export async function runDemo(
  options: DemoOptions,
  observer: DemoObserver,
): Promise<Demo | EndingSignal> {
  if (process.platform === 'win32') {
    throw new Error('The demo needs Linux or macOS: Node exposes no descriptors on Windows')
  }
  const began = performance.now()
  let why = options.loopback ? undefined : whyNoNamespace()
  let outcome: DemoOutcome | undefined
  if (!options.loopback && why === undefined) {
    outcome = await new ClientRun(options, true, observer).outcome
    why = outcome.refused
  }
  if (outcome === undefined || (outcome.refused !== undefined && outcome.signal === undefined)) {
    if (why !== undefined) observer.noNamespace(why)
    outcome = await new ClientRun(options, false, observer).outcome
  }
  const { signal, failed, place, results } = outcome
  if (signal !== undefined) return signal
  if (failed !== undefined) throw new Error(`The demo failed: ${failed}`)
  if (place === undefined) throw new Error('The demo failed: its client did not report its place')
  const seconds = (performance.now() - began) / 1000
  return { place, noNamespace: why ?? null, results, seconds }
}

function whyNoNamespace(): string | undefined {
  if (process.platform !== 'linux') return `${process.platform} has no network namespaces`
  if (process.geteuid?.() !== 0) return 'it needs root'
  return namespaceRefusal()
}

interface DemoOutcome {
  place?: DemoPlace
  results: ModeResult[]
  /** Why the namespace could not be used. */
  refused?: string
  failed?: string
  signal?: EndingSignal
}

/** One client process, from its start to its end. */
class ClientRun {
  readonly outcome: Promise<DemoOutcome>
  readonly #observer: DemoObserver
  readonly #client: ChildProcess
  readonly #state: DemoOutcome = { results: [] }
  #done = false
  #stopping: NodeJS.Timeout | undefined

  constructor({ connections, seconds }: DemoOptions, inNamespace: boolean, observer: DemoObserver) {
    this.#observer = observer
    const plan: DemoPlan = {
      notNamespace: inNamespace ? currentNamespace() : null,
      connections: connections ?? null,
      seconds,
    }
    this.#client = fork(join(__dirname, 'client-program.js'), [JSON.stringify(plan)], {
      // unshare(1) runs Node by execve(2): there is no process between this one and the client.
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

  async #run(): Promise<DemoOutcome> {
    const stop = (signal: EndingSignal): void => {
      if (this.#state.signal !== undefined) this.#client.kill('SIGKILL')
      this.#state.signal = signal
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

  /** Waits for the end of the client and of the channel, which may still hold a message. */
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

  /** Closes the channel. The client then ends its server and itself. */
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
        this.#observer.place(message.place)
        return
      case 'progress':
        this.#observer.progress(message)
        return
      case 'result':
        this.#state.results.push(message.result)
        this.#observer.result(message.result)
        return
      case 'failed':
        this.#state.failed = message.why
        return
      case 'done':
        this.#done = true
    }
  }
}

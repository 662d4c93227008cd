/** What register tells: troubles as process warnings, and on wish each socket, on standard error. */
import { writeSync } from 'node:fs'
import { isMainThread, threadId } from 'node:worker_threads'
import type { TuneReport } from '../options/tune'
import { optionOf, type Settings } from '../options/option'
import { announce } from '../warnings'

const STANDARD_ERROR = 2

export class Log {
  readonly debug: boolean
  /** Called when what is in the summary has changed. */
  counted: () => void = () => undefined
  readonly #name = `socket-tuner[${String(process.pid)}${isMainThread ? '' : `/${String(threadId)}`}]`

  /** @param wish SOCKET_TUNER_DEBUG; on unless it is empty or 0 */
  constructor(wish: string | undefined) {
    this.debug = wish !== undefined && wish !== '' && wish !== '0'
  }

  /** A line, with SOCKET_TUNER_DEBUG only. */
  line(text: string): void {
    if (this.debug) write(this.format(text))
  }

  format(text: string): string {
    return `${this.#name}: ${text}\n`
  }

  /** What could not be done: warned of once for each cause. */
  trouble(cause: string, text: string): void {
    this.line(text)
    announce('SOCKET_TUNER_NOT_TUNED', cause, text)
  }
}

/** At once, since process.stderr may be a socket itself, and since the process may be about to end. */
export function write(text: string): void {
  try {
    writeSync(STANDARD_ERROR, text)
  } catch {
    // It is closed, or a pipe that is full: a program must not fail for that.
  }
}

/** What stands for one cause, of an error that differs from socket to socket. */
export function causeOf(error: unknown): string {
  const { code, syscall, option } = error as { code?: string; syscall?: string; option?: string }
  return [code, syscall, option].filter((part) => part !== undefined).join(' ')
}

/** `TCP_NODELAY true, IP_TTL 61`. */
export function settingsText(settings: Settings): string {
  const parts = Object.entries(settings).map(([name, value]) => `${name} ${valueText(name, value)}`)
  return parts.length === 0 ? 'no options' : parts.join(', ')
}

/** The same with what came of it. */
export function reportText(report: Partial<TuneReport>): string {
  const parts = Object.entries(report).map(([name, outcome]) => outcomeText(name, outcome))
  return parts.length === 0 ? 'no options' : parts.join(', ')
}

/** The parts of an outcome, of whatever option. */
interface Outcome {
  readonly status: 'applied' | 'adjusted' | 'tooLate' | 'noEffect' | 'unsupported'
  readonly value?: unknown
  readonly requested?: unknown
  readonly why?: string
}

function outcomeText(name: string, { status, value, requested, why = '' }: Outcome): string {
  switch (status) {
    case 'applied':
      return `${name} ${valueText(name, value)}`
    case 'adjusted':
      return `${name} ${valueText(name, value)} in place of ${valueText(name, requested)}`
    case 'tooLate':
      return `${name} too late (${why})`
    case 'noEffect':
      return `${name} without effect (${why})`
    case 'unsupported':
      return `${name} unsupported (${why})`
  }
}

function valueText(name: string, value: unknown): string {
  // A secret is not shown, and some options cannot be read back.
  if (optionOf(name).row.secret === true || value === undefined) return 'set'
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value)
}

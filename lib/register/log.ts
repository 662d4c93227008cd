/** The output of register: process warnings, and with SOCKET_TUNER_DEBUG a line for each socket on standard error. */
import { writeSync } from 'node:fs'
import { isMainThread, threadId } from 'node:worker_threads'
import type { TuneReport } from '../options/tune'
import { optionOf, type Settings } from '../options/option'
import { announce } from '../warnings'

const STANDARD_ERROR = 2

export class Log {
  readonly debug: boolean
  /** Called when a count of the summary has changed. */
  counted: () => void = () => undefined
  readonly #name = `socket-tuner[${String(process.pid)}${isMainThread ? '' : `/${String(threadId)}`}]`

  /** @param value SOCKET_TUNER_DEBUG; on unless it is missing, empty or 0 */
  constructor(value: string | undefined) {
    this.debug = value !== undefined && value !== '' && value !== '0'
  }

  /** Writes a line if SOCKET_TUNER_DEBUG is set. */
  line(text: string): void {
    if (this.debug) write(this.format(text))
  }

  format(text: string): string {
    return `${this.#name}: ${text}\n`
  }

  /** Warns that a part of the configuration was not applied, once per cause. */
  trouble(cause: string, text: string): void {
    this.line(text)
    announce('SOCKET_TUNER_NOT_TUNED', cause, text)
  }
}

/** Writes synchronously: process.stderr may itself be a tuned socket, and the process may be about to end. */
export function write(text: string): void {
  try {
    writeSync(STANDARD_ERROR, text)
  } catch {
    // Standard error is closed or a full pipe. The program must not fail because of that.
  }
}

/** Returns the parts of an error that are the same for all sockets with the same cause. */
export function causeOf(error: unknown): string {
  const { code, syscall, option } = error as { code?: string; syscall?: string; option?: string }
  return [code, syscall, option].filter((part) => part !== undefined).join(' ')
}

/** Formats settings: `TCP_NODELAY true, IP_TTL 61`. */
export function settingsText(settings: Settings): string {
  const parts = Object.entries(settings).map(([name, value]) => `${name} ${valueText(name, value)}`)
  return parts.length === 0 ? 'no options' : parts.join(', ')
}

/** Formats settings with their outcomes. */
export function reportText(report: Partial<TuneReport>): string {
  const parts = Object.entries(report).map(([name, outcome]) => outcomeText(name, outcome))
  return parts.length === 0 ? 'no options' : parts.join(', ')
}

/** The outcome of any option. */
interface AnyOutcome {
  readonly status: 'applied' | 'adjusted' | 'tooLate' | 'noEffect' | 'unsupported'
  readonly value?: unknown
  readonly requested?: unknown
  readonly why?: string
}

function outcomeText(name: string, { status, value, requested, why = '' }: AnyOutcome): string {
  switch (status) {
    case 'applied':
      return `${name} ${valueText(name, value)}`
    case 'adjusted':
      return `${name} ${valueText(name, value)} instead of ${valueText(name, requested)}`
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

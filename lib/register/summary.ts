/** Writes the summary at the end of the process, unless SIGKILL or a crash ends it. */
import { constants } from 'node:os'
import { isMainThread } from 'node:worker_threads'
import { native } from '../kernel/binding'
import { write } from './log'

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/** The most bytes that a signal handler writes. */
const LONGEST = 4096

/**
 * Writes `text` when the process exits, and when a signal ends it. The program's own signal listeners work as
 * before; one that ends the process does so by `process.exit()`, or by sending the signal again.
 *
 * @returns a function to call when the text has changed, because the signal handler cannot run JavaScript
 */
export function writeAtEnd(text: () => string): () => void {
  const hasSignals = isMainThread && process.platform !== 'win32'
  const refresh = (): void => {
    if (hasSignals) native.setSignalText(Buffer.from(cut(text())))
  }
  process.on('exit', () => {
    if (hasSignals) native.setSignalText(new Uint8Array())
    write(text())
  })
  if (!hasSignals) return refresh
  for (const signal of SIGNALS) writeOn(signal)
  // Node has just removed its own handler of the signal.
  process.on('removeListener', (event) => {
    const signal = SIGNALS.find((name) => name === event)
    if (signal !== undefined) writeOn(signal)
  })
  refresh()
  return refresh
}

function writeOn(signal: (typeof SIGNALS)[number]): void {
  if (process.listenerCount(signal) === 0) native.writeOnSignal(constants.signals[signal])
}

/** Returns as many whole lines as fit. */
function cut(text: string): string {
  if (Buffer.byteLength(text) <= LONGEST) return text
  const more = 'and more servers\n'
  const head = Buffer.from(text).toString('utf8', 0, LONGEST - more.length)
  return head.slice(0, head.lastIndexOf('\n') + 1) + more
}

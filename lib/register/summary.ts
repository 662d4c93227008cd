/** The summary that is written at the end of the process, however it ends but by SIGKILL or a crash. */
import { constants } from 'node:os'
import { isMainThread } from 'node:worker_threads'
import { native } from '../kernel/binding'
import { write } from './log'

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/** What a signal can write. */
const LONGEST = 4096

/**
 * Has `text` written when the process exits, and when a signal ends it. The program's own listeners for
 * signals are called as ever; one that ends the process does so by `process.exit()`, or by the signal once
 * more.
 *
 * @returns to be called when the text has changed: a signal runs no JavaScript
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
  // Node has given the signal back to the kernel by then.
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

/** The lines that find room. */
function cut(text: string): string {
  if (Buffer.byteLength(text) <= LONGEST) return text
  const more = 'and more servers\n'
  const head = Buffer.from(text).toString('utf8', 0, LONGEST - more.length)
  return head.slice(0, head.lastIndexOf('\n') + 1) + more
}

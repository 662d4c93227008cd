/** `socket-tuner top`: shows the ports of this network namespace, live. */
import { setTimeout as delay } from 'node:timers/promises'
import type { TopArguments } from '../arguments'
import { cut, lookOf } from '../look'
import { Screen, canDraw } from '../screen'
import { render } from './render'
import { TopSource, type View } from './top-source'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const HINT = 'q quits'

/** @throws (as a rejection) what {@link TopSource} throws; the terminal is restored then */
export async function runTop(options: TopArguments): Promise<void> {
  const source = new TopSource()
  await source.add(options.targets)
  const first = await source.look()
  if (options.once) print(first, options.json)
  else await live(source, first, options)
}

function print(view: View, json: boolean): void {
  const lines = json
    ? [JSON.stringify(asData(view))]
    : render(view, lookOf(process.stdout, process.env))
  process.stdout.write(`${lines.join('\n')}\n`)
}

/** Leaves out what is unknown: JSON has neither undefined nor infinity. */
function asData({ time, timeWait, servers, rows }: View): object {
  return { time, timeWait, servers, destinations: rows.map(({ report }) => report) }
}

/** Runs until a key or a signal ends it. */
async function live(source: TopSource, first: View, options: TopArguments): Promise<void> {
  const { stdout, stdin } = process
  const controller = new AbortController()
  const quit = (): void => {
    controller.abort()
  }
  let view = first
  const draw = (): void => {
    const look = lookOf(stdout, process.env)
    const [title = '', ...lines] = render(view, look)
    screen?.draw([cut(`${title}  ${HINT}`, look), ...lines])
  }
  for (const signal of SIGNALS) process.on(signal, quit)
  const terminal = { output: stdout, input: stdin }
  const isScreen = !options.json && canDraw(stdout, process.env)
  const screen = isScreen ? new Screen(terminal, quit, draw) : undefined
  try {
    for (;;) {
      if (screen === undefined) print(view, options.json)
      else draw()
      if (!(await hasPaused(options.seconds, controller.signal))) return
      view = await source.look()
    }
  } finally {
    screen?.leave()
    for (const signal of SIGNALS) process.off(signal, quit)
  }
}

/** Waits. @returns false when the signal was aborted first */
async function hasPaused(seconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(1000 * seconds, undefined, { signal })
    return true
  } catch {
    return false
  }
}

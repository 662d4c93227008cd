/** `socket-tuner top`: the ports of this network namespace as they go. */
import { setTimeout as delay } from 'node:timers/promises'
import type { TopArguments } from '../arguments'
import { render } from './render'
import { Screen, lookOf } from './screen'
import { TopSource, type View } from './source'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const HINT = 'q ends'

/** @throws what {@link TopSource} does: nothing is left on the screen then */
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

/** JSON has no infinity, and no undefined: what is not known is not there. */
function asData({ time, timeWait, servers, rows }: View): object {
  return { time, timeWait, servers, destinations: rows.map(({ report }) => report) }
}

/** Until a key or a signal ends it. */
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
    // A line that is wrapped would move the others.
    screen?.draw([`${title}  ${HINT}`.slice(0, look.width), ...lines])
  }
  for (const signal of SIGNALS) process.on(signal, quit)
  const terminal = { output: stdout, input: stdin }
  const isScreen = stdout.isTTY && !options.json && process.env.TERM !== 'dumb'
  const screen = isScreen ? new Screen(terminal, quit, draw) : undefined
  try {
    for (;;) {
      if (screen === undefined) print(view, options.json)
      else draw()
      if (!(await isPaused(options.seconds, controller.signal))) return
      view = await source.look()
    }
  } finally {
    screen?.leave()
    for (const signal of SIGNALS) process.off(signal, quit)
  }
}

/** False when it was called off. */
async function isPaused(seconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(1000 * seconds, undefined, { signal })
    return true
  } catch {
    return false
  }
}

/** `socket-tuner demo`: prints what the demo reports. */
import { constants as os } from 'node:os'
import { runDemo, type DemoObserver } from '../demo/demo'
import type { DemoArguments } from './arguments'
import { describePlace, table, verdict } from './demo-report'
import { ProgressLine } from './progress-line'
import { count } from './text'

/** Returns the exit code. @throws (as a rejection) what {@link runDemo} throws */
export async function printDemo({ json, ...options }: DemoArguments): Promise<number> {
  const progress = new ProgressLine(process.stdout, json)
  try {
    const demo = await runDemo(options, observerOf(progress))
    progress.clear()
    if (typeof demo === 'string') return 128 + os.signals[demo]
    const { place, results, seconds } = demo
    const lines = [
      ...table(results),
      '',
      ...verdict(place, results),
      `It took ${count(seconds)} s.`,
    ]
    process.stdout.write(json ? `${JSON.stringify(demo, null, 2)}\n` : `\n${lines.join('\n')}\n`)
    return 0
  } finally {
    progress.clear()
  }
}

function observerOf(progress: ProgressLine): DemoObserver {
  return {
    noNamespace(why) {
      progress.line(`No network namespace of its own: ${why}.`)
    },
    place(place) {
      for (const line of describePlace(place)) progress.line(line)
    },
    progress({ mode, made, of, perSecond }) {
      progress.show(`${mode}: ${count(made)} of ${count(of)} connections, ${count(perSecond)}/s`)
    },
    result({ mode, connections, seconds, atLast }) {
      progress.step(
        `${mode}: ${count(connections)} connections in ${seconds.toFixed(1)} s, ${count(atLast)}/s at the end`,
      )
    },
  }
}

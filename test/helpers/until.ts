import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'

/** Set by each Jest configuration: less than its time limit for a test. */
declare const DEADLINE_MS: number

const FIRST_PAUSE_MS = 2
const LONGEST_PAUSE_MS = 200

/** Polls with growing pauses until the condition is met. */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  isReached: (answer: T) => boolean,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  const end = performance.now() + deadlineMs
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    const answer = await ask()
    if (isReached(answer)) return answer
    if (performance.now() > end) {
      throw new Error(
        `${what}: not within ${String(deadlineMs)} ms, the last answer was ${inspect(answer)}`,
      )
    }
    await delay(pause)
  }
}

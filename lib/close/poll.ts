const SHORTEST_PAUSE_MS = 1
const LONGEST_PAUSE_MS = 50

/**
 * Polls `condition` with back-off, for changes that the kernel does not signal. Calls `then` once when it is true, which
 * may be at once, and at most a quarter later than necessary. Returns a function that stops the polling.
 */
export function pollUntil(condition: () => boolean, then: () => void): () => void {
  const since = performance.now()
  let timer: NodeJS.Timeout | undefined
  const next = (): void => {
    if (condition()) {
      then()
      return
    }
    const pause = (performance.now() - since) / 4
    timer = setTimeout(next, Math.min(Math.max(SHORTEST_PAUSE_MS, pause), LONGEST_PAUSE_MS))
  }
  next()
  return () => {
    clearTimeout(timer)
  }
}

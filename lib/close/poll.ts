const LONGEST_PAUSE_MS = 50

/**
 * Asks with growing pauses, since the kernel tells of some things only who asks, and calls `then` once
 * when the answer is yes, which may be at once. Returns a function that stops it.
 */
export function pollUntil(condition: () => boolean, then: () => void): () => void {
  let pause = 1
  let timer: NodeJS.Timeout | undefined
  const next = (): void => {
    if (condition()) {
      then()
      return
    }
    timer = setTimeout(next, pause)
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS)
  }
  next()
  return () => {
    clearTimeout(timer)
  }
}

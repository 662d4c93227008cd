const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** The part of a group that signals use. */
interface EndableGroup {
  readonly over: Promise<void>
  close(): Promise<void>
  kill(): void
}

/**
 * Closes a group at the first SIGTERM or SIGINT, and kills it at the second. The process exits when the group is
 * closed, unless the program listens for that signal too.
 *
 * @returns a function that stops it
 */
export function onTermination(group: EndableGroup): () => void {
  let first: NodeJS.Signals | undefined
  const onSignal = (signal: NodeJS.Signals): void => {
    if (first !== undefined) {
      group.kill()
      return
    }
    first = signal
    void group.close()
  }
  const stop = (): void => {
    for (const signal of SIGNALS) process.off(signal, onSignal)
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  void group.over.then(() => {
    // Lets the program's handlers of `closed` run first.
    setImmediate(() => {
      if (first !== undefined && process.listenerCount(first) === 0) process.exit()
    })
  })
  return stop
}

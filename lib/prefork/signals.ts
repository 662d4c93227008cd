const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** What a signal does to a group. */
interface Ending {
  readonly over: Promise<void>
  close(): Promise<void>
  kill(): void
}

/**
 * Closes a group at the first SIGTERM or SIGINT and kills it at the second. When it is closed the
 * process ends, unless somebody else listens for that signal too.
 *
 * @returns stops it
 */
export function onTermination(group: Ending): () => void {
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
    // Those who wait for `closed` come first.
    setImmediate(() => {
      if (first !== undefined && process.listenerCount(first) === 0) process.exit()
    })
  })
  return stop
}

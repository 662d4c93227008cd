/** What a child process of the demo has to do with the process that started it. */

/**
 * Calls `end` when the parent closes the IPC channel, is killed or crashes: the kernel closes the
 * channel in each case, so no child is left behind. Signals are the parent's business: a terminal
 * sends Ctrl-C to the whole process group.
 */
export function endWithParent(end: () => void): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // The parent gets it too, and closes the channel.
    })
  }
  if (process.connected) process.once('disconnect', end)
  else end()
}

/** Sends a message; calls back when it is on its way, or the parent is gone. */
export function tellParent(message: object, sent: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, undefined, undefined, sent)
  else sent()
}

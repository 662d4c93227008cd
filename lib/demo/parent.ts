/** The connection of a child process of the demo to the process that started it. */

/**
 * Calls `end` when the parent closes the IPC channel, is killed or crashes. The kernel closes the channel in each case,
 * so no child is left behind. Children ignore signals: a terminal sends Ctrl-C to the whole process group, and the
 * parent stops its children in order.
 */
export function endWithParent(end: () => void): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // The parent receives it too, and closes the channel.
    })
  }
  if (process.connected) process.once('disconnect', end)
  else end()
}

/** Sends a message to the parent. Calls `sent` when it was sent, or if the parent has ended. */
export function sendToParent(message: object, sent: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, undefined, undefined, sent)
  else sent()
}

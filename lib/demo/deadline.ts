/**
 * Settles as `promise` does.
 *
 * @param event named in the error: `the reply`
 * @throws (as a rejection) Error after `ms`
 */
export async function within<T>(promise: Promise<T>, ms: number, event: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`timed out after ${String(ms / 1000)} s: ${event}`))
    }, ms)
  })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    clearTimeout(timer)
  }
}

/** Processes by their IDs. */
import { until } from './until'

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

export async function allGone(pids: readonly number[]): Promise<void> {
  await until(
    'the processes are gone',
    () => pids.filter(isRunning),
    (left) => left.length === 0,
  )
}

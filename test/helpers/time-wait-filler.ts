import type { Namespace } from './namespace'
import { useNativeProgram } from './native-program'

/** The server port of test/lab/programs/fill-time-wait.c. */
export const FILLED_PORT = 9101

/** Returns a function that creates `count` TIME_WAIT entries, for the suite that calls this. */
export function useTimeWaitFiller(namespace: () => Namespace): (count: number) => Promise<void> {
  const program = useNativeProgram('lab/programs/fill-time-wait.c')
  return async (count) => {
    await namespace().run(program(), String(count))
  }
}

import type { Namespace } from './namespace'
import { useNativeProgram } from './native-program'

/** Where test/lab/programs/fill-time-wait.c has its server. */
export const FILLED_PORT = 9101

/** Makes so many entries in TIME_WAIT, for the tests of the suite that this is called in. */
export function useTimeWaitFiller(namespace: () => Namespace): (count: number) => Promise<void> {
  const program = useNativeProgram('lab/programs/fill-time-wait.c')
  return async (count) => {
    await namespace().run(program(), String(count))
  }
}

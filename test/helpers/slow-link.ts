/** Links within one namespace that have a rate, a queue and a delay: see programs/slow-link.c. */
import { setUpDevice } from './bad-link'
import { useCProgram } from './c-program'
import type { Namespace } from './namespace'

export interface SlowLink {
  bytesPerSecond: number
  /** The length of the queue in each direction, packets. */
  queue: number
  delayMs: number
}

/** The address to connect to, and the one on which a server listens for it. */
export interface LinkEnds {
  readonly host: string
  readonly listen: string
}

/** Creates a link in the namespace. `index` tells several apart. */
export function useSlowLink(namespace: () => Namespace, link: SlowLink, index: number): LinkEnds {
  const program = useCProgram('slow-link')
  const device = `slow${String(index)}`
  beforeAll(async () => {
    const numbers = [link.bytesPerSecond, link.queue, link.delayMs].map(String)
    const command = namespace().spawn(program().path, device, ...numbers)
    await command.wrote(/ready/)
    await setUpDevice(namespace(), device, 2 * index)
  })
  return {
    host: `10.9.${String(2 * index + 1)}.2`,
    listen: `10.9.${String(2 * index)}.2`,
  }
}

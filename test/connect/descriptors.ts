import { readdirSync } from 'node:fs'
import type * as net from 'node:net'
import { until } from '../helpers/until'

/** How many descriptors this process has open. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length
}

/** Resolves when no more are open than were before; Node closes them in a later turn of its loop. */
export async function expectNoMoreThan(before: number): Promise<void> {
  await until('descriptors closed', openDescriptors, (open) => open <= before)
}

/** What a socket emits as 'error'. Unlike events.once() it does not end at an 'error' that it waits for. */
export function errorOf(socket: net.Socket): Promise<Error & Record<string, unknown>> {
  return new Promise((resolve) => {
    socket.once('error', (error) => {
      resolve(error as Error & Record<string, unknown>)
    })
  })
}

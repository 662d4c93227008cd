import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import type * as net from 'node:net'
import { until } from '../helpers/until'

/** Returns the number of descriptors that this process has open. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length
}

/** Resolves when at most `before` descriptors are open. Node closes them in a later turn of the event loop. */
export async function expectNoMoreThan(before: number): Promise<void> {
  await until('descriptors closed', openDescriptors, (open) => open <= before)
}

/** Resolves with the argument of 'error'. events.once() would reject with it. */
export function errorOf(socket: net.Socket): Promise<Error & Record<string, unknown>> {
  return new Promise((resolve) => {
    socket.once('error', (error) => {
      resolve(error as Error & Record<string, unknown>)
    })
  })
}

/** Resolves with the socket's error when it is closed. */
export async function finalErrorOf(socket: net.Socket): Promise<Error & Record<string, unknown>> {
  const error = await errorOf(socket)
  if (!socket.closed) await once(socket, 'close')
  return error
}

/** Much data to a server that does not read yet, and a close as soon as all of it is in the kernel. */
import type * as net from 'node:net'
import { closeSocket, type CloseModeName } from '../../index'
import type { PreparedSettings } from '../../options/tune'
import { open, within, type Endpoint } from './connections'

export const SLOW_CONNECTIONS = 4
const BYTES = 3_000_000
const DEADLINE_MS = 10_000

export interface SlowResult {
  readonly written: number
  readonly reportedDiscarded: number
}

/** @throws Error when a connection fails or takes more than 10 s */
export async function writeToSlowReaders(
  mode: CloseModeName,
  server: Endpoint,
  settings: PreparedSettings | undefined,
): Promise<SlowResult> {
  const data = Buffer.alloc(BYTES, '.')
  const sockets: net.Socket[] = []
  const writeOne = async (): Promise<number> => {
    const socket = open(server, settings)
    sockets.push(socket)
    await written(socket, data)
    return (await closeSocket(socket, mode)).discardedBytes
  }
  try {
    const discarded = await within(
      Promise.all(Array.from({ length: SLOW_CONNECTIONS }, writeOne)),
      DEADLINE_MS,
      `the end of the writes to slow readers in mode '${mode}'`,
    )
    return {
      written: SLOW_CONNECTIONS * BYTES,
      reportedDiscarded: discarded.reduce((sum, bytes) => sum + bytes, 0),
    }
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}

/** Resolves with the write callback: it means "in the kernel", and is all that a program gets to know. */
function written(socket: net.Socket, data: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.write(data, (error) => {
      if (error === null || error === undefined) resolve()
    })
  })
}

/** Writes 3 MB to a server that does not read yet, and closes the connection once all of it is in the kernel. */
import type * as net from 'node:net'
import { closeSocket, type CloseModeName, type PortRange } from '../index'
import { connectTo, type ServerAddress } from './client-ports'
import { within } from './deadline'

export const SLOW_CONNECTIONS = 4
const BYTES = 3_000_000
const DEADLINE_MS = 10_000

interface SlowResult {
  readonly written: number
  readonly reportedDiscarded: number
}

/** @throws (as a rejection) Error if a connection fails, or if all together take more than 10 s */
export async function writeToSlowReaders(
  mode: CloseModeName,
  server: ServerAddress,
  confined: PortRange | undefined,
): Promise<SlowResult> {
  const data = Buffer.alloc(BYTES, '.')
  const sockets: net.Socket[] = []
  const writeOne = async (): Promise<number> => {
    const socket = connectTo(server, confined)
    sockets.push(socket)
    await written(socket, data)
    return (await closeSocket(socket, mode)).discardedBytes
  }
  try {
    const discarded = await within(
      Promise.all(Array.from({ length: SLOW_CONNECTIONS }, writeOne)),
      DEADLINE_MS,
      `the writes to slow readers in mode '${mode}'`,
    )
    return {
      written: SLOW_CONNECTIONS * BYTES,
      reportedDiscarded: discarded.reduce((sum, bytes) => sum + bytes, 0),
    }
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}

/** Resolves with the write callback: the data is in the kernel, and a program can observe no more. */
function written(socket: net.Socket, data: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.write(data, (error) => {
      if (error === null || error === undefined) resolve()
    })
  })
}

/** The listening TCP sockets of this network namespace. */
import { open, type FileHandle } from 'node:fs/promises'
import { addressInTable } from '../../kernel/addresses'

export interface Listener {
  readonly address: string
  readonly port: number
  /** Sockets with this address and port: more than one only with SO_REUSEPORT. */
  readonly sockets: number
  /** Connections that wait to be accepted, on all these sockets together. */
  readonly waiting: number
}

/** TCP_LISTEN of net/tcp_states.h. */
const LISTEN = '0A'
const CHUNK_BYTES = 16_384

/**
 * Reads /proc/net/tcp and tcp6; undefined if neither exists. Listening sockets come first in these files, so
 * reading stops after them however many connections follow.
 */
export async function readListeners(
  files: readonly string[] = ['/proc/net/tcp', '/proc/net/tcp6'],
): Promise<Listener[] | undefined> {
  const tables = await Promise.all(files.map(linesOf))
  if (tables.every((lines) => lines === undefined)) return undefined
  return parseListeners(tables.flatMap((lines) => lines ?? []))
}

async function linesOf(name: string): Promise<string[] | undefined> {
  let file: FileHandle | undefined
  try {
    file = await open(name)
    return await listening(file)
  } catch {
    return undefined
  } finally {
    await file?.close()
  }
}

async function listening(file: FileHandle): Promise<string[]> {
  const found: string[] = []
  const buffer = Buffer.alloc(CHUNK_BYTES)
  let rest = ''
  for (;;) {
    const { bytesRead } = await file.read({ buffer })
    const lines = (rest + buffer.toString('latin1', 0, bytesRead)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (isHead(line)) continue
      if (stateIn(line) !== LISTEN) return found
      found.push(line)
    }
    if (bytesRead === 0) return found
  }
}

/** Parses lines of /proc/net/tcp and tcp6 (proc_pid_net(5)). Skips sockets that do not listen. */
export function parseListeners(lines: readonly string[]): Listener[] {
  const all = new Map<string, Listener>()
  for (const line of lines) {
    const [, local = '', , state, queues = ''] = line.trim().split(/\s+/)
    if (isHead(line) || state !== LISTEN) continue
    const [address = '', port = ''] = local.split(':')
    const before = all.get(local)
    all.set(local, {
      address: addressInTable(address),
      port: Number.parseInt(port, 16),
      sockets: (before?.sockets ?? 0) + 1,
      // tx_queue:rx_queue. For a listening socket, rx_queue is the length of its accept queue.
      waiting: (before?.waiting ?? 0) + Number.parseInt(queues.split(':')[1] ?? '0', 16),
    })
  }
  return [...all.values()].toSorted((a, b) => a.port - b.port)
}

function isHead(line: string): boolean {
  return line.includes('local_address')
}

function stateIn(line: string): string | undefined {
  return line.trim().split(/\s+/, 4)[3]
}

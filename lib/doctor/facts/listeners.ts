/** The listening TCP sockets of this network namespace. */
import { open, type FileHandle } from 'node:fs/promises'
import { LITTLE } from '../../kernel/bytes'
import { addressText } from '../../kernel/addresses'

export interface Listener {
  readonly address: string
  readonly port: number
  /** Sockets on this very address and port: more than one have SO_REUSEPORT. */
  readonly sockets: number
  /** Connections that wait to be accepted, of all of these sockets together. */
  readonly waiting: number
}

/** TCP_LISTEN of net/tcp_states.h. */
const LISTEN = '0A'
const WORD_DIGITS = 8
const CHUNK_BYTES = 16_384

/**
 * Undefined where there is no /proc/net/tcp. Listening sockets come first in it, so that reading ends
 * with the last of them, whatever the number of connections behind them.
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

/** Lines of /proc/net/tcp and tcp6 (proc_pid_net(5)); what does not listen is passed over. */
export function parseListeners(lines: readonly string[]): Listener[] {
  const all = new Map<string, Listener>()
  for (const line of lines) {
    const [, local = '', , state, queues = ''] = line.trim().split(/\s+/)
    if (isHead(line) || state !== LISTEN) continue
    const [address = '', port = ''] = local.split(':')
    const before = all.get(local)
    all.set(local, {
      address: parseAddress(address),
      port: Number.parseInt(port, 16),
      sockets: (before?.sockets ?? 0) + 1,
      // tx_queue:rx_queue; of a listening socket the second is the length of its accept queue.
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

/** Words of 32 bits, each printed as a number of this machine. */
function parseAddress(hex: string): string {
  const bytes = Buffer.alloc(hex.length / 2)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let digit = 0; digit < hex.length; digit += WORD_DIGITS) {
    view.setUint32(digit / 2, Number.parseInt(hex.slice(digit, digit + WORD_DIGITS), 16), LITTLE)
  }
  return addressText(bytes)
}

/** `socket-tuner life`: prints each connection that ends. */
import { watchConnections, type EndedConnection, type EndKind, type Lifetime } from '../ports'
import type { LifeArguments } from './arguments'
import { counted } from './text'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** The longest delay of a timer, ms. */
const FOREVER_MS = 2 ** 31 - 1
const UNKNOWN = '-'
const KIB = 1024

/** The head and the width of each column; a negative width aligns to the left. */
const COLUMNS = [
  ['PID', 8],
  ['COMM', -15],
  ['LADDR', -15],
  ['LPORT', 5],
  ['RADDR', -15],
  ['RPORT', 5],
  ['TX_KB', 8],
  ['RX_KB', 8],
  ['MS', 11],
  ['RTT_MS', 8],
  ['RETR', 5],
  ['CLOSED', -10],
] as const satisfies readonly (readonly [string, number])[]

/**
 * Runs until a signal or the end of the time.
 *
 * @throws (as a rejection) what watchConnections() throws
 */
export async function runLife({
  json,
  localPort,
  remotePort,
  seconds,
}: LifeArguments): Promise<void> {
  const watch = watchConnections({
    filter: { localPort, remotePort },
    onConnection: (each) => {
      process.stdout.write(`${json ? jsonOf(each) : lineOf(each)}\n`)
    },
  })
  const stop = (): void => {
    watch.stop()
  }
  // Also keeps the process alive.
  const timer = setTimeout(stop, seconds === undefined ? FOREVER_MS : 1000 * seconds)
  for (const signal of SIGNALS) process.on(signal, stop)
  if (!json) process.stdout.write(`${row(COLUMNS.map(([head]) => head))}\n`)
  try {
    await watch.ended
  } finally {
    clearTimeout(timer)
    for (const signal of SIGNALS) process.off(signal, stop)
  }
  const { reported, lost } = watch.counters()
  if (lost > 0)
    process.stderr.write(
      `${counted(lost, 'ended socket was', 'ended sockets were')} lost, beside ${counted(reported, 'connection')}: the kernel's buffer was full\n`,
    )
}

/** The cookie is text: JSON has no numbers of 64 bits. */
function jsonOf(connection: EndedConnection): string {
  return JSON.stringify({ ...connection, cookie: String(connection.cookie) })
}

/** The line of a connection, in the columns of tcplife and four more. */
export function lineOf(connection: EndedConnection): string {
  const { pid, command, processFrom, localAddress, localPort, remoteAddress, remotePort } =
    connection
  return row([
    pid === undefined ? UNKNOWN : `${processFrom === 'listener' ? '~' : ''}${String(pid)}`,
    printable(command ?? UNKNOWN),
    localAddress ?? UNKNOWN,
    String(localPort),
    remoteAddress,
    numberText(remotePort),
    kibText(connection.bytesSent),
    kibText(connection.bytesReceived),
    lifetimeText(connection.lifetimeMs),
    millisecondsText(connection.rttMicroseconds),
    numberText(connection.retransmits),
    closedText(connection),
  ])
}

function row(cells: readonly string[]): string {
  return COLUMNS.map(([, width], index) => {
    const cell = cells[index] ?? ''
    return width < 0 ? cell.padEnd(-width) : cell.padStart(width)
  })
    .join(' ')
    .trimEnd()
}

/** A program chooses its name, which may contain escape sequences. */
function printable(text: string): string {
  return text.replaceAll(/[^ -~]/g, '?')
}

function numberText(value: number | undefined): string {
  return value === undefined ? UNKNOWN : String(value)
}

function kibText(bytes: number | undefined): string {
  return bytes === undefined ? UNKNOWN : (bytes / KIB).toFixed(1)
}

function millisecondsText(microseconds: number | undefined): string {
  return microseconds === undefined ? UNKNOWN : (microseconds / 1000).toFixed(2)
}

function lifetimeText({ min, max }: Lifetime): string {
  if (max === undefined) return `${String(min)}+`
  return min === max ? String(min) : `${String(min)}-${String(max)}`
}

const closedTexts: Readonly<Record<EndKind, (by: EndedConnection['closedBy']) => string>> = {
  fin: (by) => by ?? 'fin',
  reset: (by) => `reset ${by ?? ''}`,
  abort: (by) => (by === undefined ? 'abort' : `abort ${by}`),
}

function closedText({ end, closedBy }: EndedConnection): string {
  return end === undefined ? (closedBy ?? UNKNOWN) : closedTexts[end](closedBy)
}

import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import {
  afterAllClosed,
  askAndWaitForEnd,
  type HttpServerConfig,
  serveHttp,
} from '../helpers/http-runs'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'

const WARM_UP = 200
const REQUESTS = 2_000

type Calls = Record<string, number>

/** What an accepted connection may cost; the rest is Node's memory and its threads. */
const onSockets = [
  ...['accept4', 'getsockopt', 'setsockopt', 'getsockname', 'getpeername', 'ioctl', 'fcntl'],
  ...['read', 'readv', 'recvfrom', 'recvmsg', 'write', 'writev', 'sendto', 'sendmsg'],
  ...['epoll_ctl', 'shutdown', 'close', 'dup', 'dup2', 'dup3', 'socket'],
]

labDescribe('an http server that closes each connection', ['root', 'ip', 'strace'], () => {
  const namespace = useNamespace({ 'net.ipv4.ip_local_port_range': '1024 65535' })
  let untuned: Calls

  /** The system calls that REQUESTS connections cost the server, counted by strace. */
  async function callsOf(config: HttpServerConfig): Promise<Calls> {
    const { server, port } = await serveHttp(namespace(), config)
    await askAndWaitForEnd(namespace(), { port, requests: WARM_UP })
    const summary = path.join(tmpdir(), `${namespace().name}-strace`)
    const strace = namespace().spawn('strace', '-f', '-c', '-o', summary, '-p', String(server.pid))
    await strace.wrote(/attached/)
    await askAndWaitForEnd(namespace(), { port, requests: REQUESTS })
    await afterAllClosed(server)
    await strace.stop('SIGINT')
    const calls = countCalls(readFileSync(summary, 'utf8'))
    rmSync(summary)
    await server.stop()
    return calls
  }

  beforeAll(async () => {
    untuned = await callsOf({})
  })

  it("makes one getsockopt() for each with close: 'deliver', and no shutdown()", async () => {
    const tuned = await callsOf({ close: 'deliver' })
    expect(changes(untuned, tuned)).toEqual({ getsockopt: REQUESTS, shutdown: -REQUESTS })
    expect(perConnection(tuned) - perConnection(untuned)).toBeLessThan(1)
  })

  it('makes no call more for each with requireTimestamps: false, and no shutdown()', async () => {
    const tuned = await callsOf({ close: { mode: 'deliver', requireTimestamps: false } })
    expect(changes(untuned, tuned)).toEqual({ shutdown: -REQUESTS })
    expect(perConnection(tuned) - perConnection(untuned)).toBeLessThan(0)
  })
})

/** Calls by name, out of the table that `strace -c` writes. */
function countCalls(summary: string): Calls {
  const calls: Calls = {}
  for (const line of summary.split('\n')) {
    const [, count, name] = /^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$/.exec(line) ?? []
    if (count !== undefined && name !== undefined && name !== 'total') calls[name] = Number(count)
  }
  return calls
}

/** How many calls of each kind there are more, or less, but for the few that timing decides. */
function changes(before: Calls, after: Calls): Calls {
  const changed: Calls = {}
  for (const call of onSockets) {
    const difference = (after[call] ?? 0) - (before[call] ?? 0)
    if (Math.abs(difference) >= REQUESTS / 20) changed[call] = difference
  }
  return changed
}

function perConnection(calls: Calls): number {
  return onSockets.reduce((sum, call) => sum + (calls[call] ?? 0), 0) / REQUESTS
}

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

/** The system calls that a connection may cause. Others belong to Node's memory and threads. */
const onSockets = [
  ...['accept4', 'getsockopt', 'setsockopt', 'getsockname', 'getpeername', 'ioctl', 'fcntl'],
  ...['read', 'readv', 'recvfrom', 'recvmsg', 'write', 'writev', 'sendto', 'sendmsg'],
  ...['epoll_ctl', 'shutdown', 'close', 'dup', 'dup2', 'dup3', 'socket'],
]

labDescribe('an http server that closes each connection', ['root', 'ip', 'strace'], () => {
  const namespace = useNamespace({ 'net.ipv4.ip_local_port_range': '1024 65535' })
  let untuned: Calls

  /** Counts the system calls of the server for REQUESTS connections, with strace. */
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

  // TCP_CORK before the last write of the response, and TCP_INFO before close(2).
  it("makes one setsockopt(), one getsockopt() and no shutdown() per connection with close: 'deliver'", async () => {
    const tuned = await callsOf({ close: 'deliver' })
    expect(changes(untuned, tuned)).toEqual({
      getsockopt: REQUESTS,
      setsockopt: REQUESTS,
      shutdown: -REQUESTS,
    })
    expect(perConnection(tuned) - perConnection(untuned)).toBeLessThan(2)
  })

  it('makes no getsockopt() with requireTimestamps: false', async () => {
    const tuned = await callsOf({ close: { mode: 'deliver', requireTimestamps: false } })
    expect(changes(untuned, tuned)).toEqual({ setsockopt: REQUESTS, shutdown: -REQUESTS })
    expect(perConnection(tuned) - perConnection(untuned)).toBeLessThan(1)
  })
})

/** Parses the calls by name from the table of `strace -c`. */
function countCalls(summary: string): Calls {
  const calls: Calls = {}
  for (const line of summary.split('\n')) {
    const [, count, name] = /^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$/.exec(line) ?? []
    if (count !== undefined && name !== undefined && name !== 'total') calls[name] = Number(count)
  }
  return calls
}

/** Returns the difference in calls of each kind, ignoring the few that depend on timing. */
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

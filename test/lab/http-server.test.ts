import { readFileSync } from 'node:fs'
import { makeCertificate } from '../helpers/certificate'
import { afterAllClosed, askAndWaitForEnd, serveHttp, wrkCommand } from '../helpers/http-runs'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import type { Program } from '../helpers/program'
import { size } from '../helpers/size'

const SECONDS = size('LAB_SECONDS')
const REQUESTS = Math.min(size('LAB_REQUESTS'), 5_000)
const CLIENTS = 32
/** A port for each connection, so that every TIME_WAIT entry can be counted. */
const manyPorts = { 'net.ipv4.ip_local_port_range': '1024 65535' }

labDescribe('an http server under wrk', ['root', 'ip', 'wrk', 'taskset'], () => {
  const namespace = useNamespace(manyPorts)

  /** Runs wrk, which closes once it has the answer. Returns the number of completed requests. */
  async function load(port: number, seconds: number, ...prefix: string[]): Promise<number> {
    const url = `http://127.0.0.1:${String(port)}/`
    const wrk = wrkCommand(url, { clients: CLIENTS, seconds })
    const output = await namespace().run('env', ...prefix, ...wrk)
    expect(output).not.toMatch(/Socket errors|Non-2xx/)
    return Number(/(\d+) requests in/.exec(output)?.[1])
  }

  /** @param cut the most responses that may fail, because wrk closes open connections at the end of its time */
  async function expectAllDelivered(server: Program, cut = 0): Promise<void> {
    const { connections, errors, warnings, counters } = await afterAllClosed(server)
    const { EPIPE = 0, ECONNRESET = 0, ...others } = errors
    expect({ errors: others, warnings }).toEqual({ errors: {}, warnings: [] })
    expect(EPIPE + ECONNRESET).toBeLessThanOrEqual(cut)
    expect(counters).toMatchObject({ closes: { deliver: connections }, fallbacks: {} })
  }

  // Server and client on one processor, and on any processor.
  it.each(
    (['plain', 'chunked', 'streamed'] as const).flatMap((answer) => [
      [answer, 'one processor'] as const,
      [answer, 'all processors'] as const,
    ]),
  )(
    "has TIME_WAIT after at most 0.5 %% of its %s responses with close: 'deliver', on %s",
    async (answer, processors) => {
      const pinned = processors === 'one processor' ? ['taskset', '-c', firstCpu()] : []
      const { server, port } = await serveHttp(namespace(), { close: 'deliver', answer })
      if (pinned.length > 0)
        await namespace().run('taskset', '-a', '-c', '-p', firstCpu(), String(server.pid))
      const requests = await load(port, SECONDS, ...pinned)
      // Only a response that is written in several steps can be cut off between them.
      await expectAllDelivered(server, answer === 'plain' ? 0 : CLIENTS)
      expect(await namespace().timeWaits({ localPort: port })).toBeLessThanOrEqual(requests / 200)
    },
  )

  it("leaves TIME_WAIT with close: 'deliver' only if both ends closed at once", async () => {
    const { server, port } = await serveHttp(namespace(), { close: 'deliver' })
    await load(port, SECONDS)
    await expectAllDelivered(server)
    const here = await namespace().timeWaitPorts({ localPort: port })
    const there = await namespace().timeWaitPorts({ remotePort: port })
    expect([...here].filter((clientPort) => !there.has(clientPort))).toEqual([])
  })

  it('leaves TIME_WAIT at either end after more than 90 % without tuning', async () => {
    const before = await namespace().timeWaitsMade()
    const { server, port } = await serveHttp(namespace())
    const requests = await load(port, 1)
    await afterAllClosed(server)
    const made = (await namespace().timeWaitsMade()) - before
    expect(made).toBeGreaterThan(requests * 0.9)
  })
})

/** The first of the CPUs that this process may run on. */
function firstCpu(): string {
  const status = readFileSync('/proc/self/status', 'utf8')
  return /^Cpus_allowed_list:\s*(\d+)/m.exec(status)?.[1] ?? '0'
}

labDescribe('a server whose clients wait for its FIN', ['root', 'ip', 'openssl'], () => {
  const namespace = useNamespace(manyPorts)

  it('leaves one TIME_WAIT entry for each connection without tuning', async () => {
    const requests = REQUESTS
    const { server, port } = await serveHttp(namespace())
    await askAndWaitForEnd(namespace(), { port, requests })
    expect(await afterAllClosed(server)).toMatchObject({ requests, errors: {} })
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
    expect(await namespace().timeWaitsMade()).toBe(requests)
  })

  it.each([
    ['http', REQUESTS],
    ['https', 1_000],
  ] as const)("leaves no TIME_WAIT with close: 'deliver' (%s)", async (protocol, requests) => {
    const secured = protocol === 'https' ? { certificate: makeCertificate() } : {}
    const { server, port } = await serveHttp(namespace(), { close: 'deliver', ...secured })
    await askAndWaitForEnd(namespace(), { port, requests, ...secured })
    const seen = await afterAllClosed(server)
    expect(seen).toMatchObject({ connections: requests, requests, errors: {}, warnings: [] })
    expect(seen.counters).toMatchObject({ closes: { deliver: requests }, discardedBytes: 0 })
    expect(await namespace().timeWaits({ localPort: port })).toBe(0)
  })
})

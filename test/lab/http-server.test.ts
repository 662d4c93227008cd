import { readFileSync } from 'node:fs'
import { makeCertificate } from '../helpers/certificate'
import { afterAllClosed, askAndWaitForEnd, serveHttp } from '../helpers/http-runs'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import type { Program } from '../helpers/program'
import { size } from '../helpers/size'

const SECONDS = size('LAB_SECONDS')
const REQUESTS = Math.min(size('LAB_REQUESTS'), 5_000)
/** Every TIME_WAIT entry is to be counted, so there must be a port for each connection. */
const manyPorts = { 'net.ipv4.ip_local_port_range': '1024 65535' }

labDescribe('an http server under wrk', ['root', 'ip', 'wrk', 'taskset'], () => {
  const namespace = useNamespace(manyPorts)

  /** Runs wrk, which closes as soon as it has its answer; the number of requests it completed. */
  async function load(port: number, seconds: number, ...prefix: string[]): Promise<number> {
    const url = `http://127.0.0.1:${String(port)}/`
    const wrk = ['wrk', '-t1', '-c32', `-d${String(seconds)}s`, '-H', 'Connection: close', url]
    const output = await namespace().run('env', ...prefix, ...wrk)
    expect(output).not.toMatch(/Socket errors|Non-2xx/)
    return Number(/(\d+) requests in/.exec(output)?.[1])
  }

  async function expectAllDelivered(server: Program): Promise<void> {
    const { connections, errors, warnings, counters } = await afterAllClosed(server)
    expect({ errors, warnings }).toEqual({ errors: {}, warnings: [] })
    expect(counters).toMatchObject({ closes: { deliver: connections }, fallbacks: {} })
  }

  it("has TIME_WAIT after at most 1 % of its requests with close: 'deliver'", async () => {
    // On one CPU the two ends do not close in the same moment.
    const oneCpu = ['taskset', '-c', firstCpu()]
    const { server, port } = await serveHttp(namespace(), { close: 'deliver' })
    await namespace().run('taskset', '-a', '-c', '-p', firstCpu(), String(server.pid))
    const requests = await load(port, SECONDS, ...oneCpu)
    await expectAllDelivered(server)
    expect(await namespace().timeWaits({ localPort: port })).toBeLessThanOrEqual(requests / 100)
  })

  it("has TIME_WAIT with close: 'deliver' only where both ends closed at once", async () => {
    const { server, port } = await serveHttp(namespace(), { close: 'deliver' })
    await load(port, SECONDS)
    await expectAllDelivered(server)
    const here = await namespace().timeWaitPorts({ localPort: port })
    const there = await namespace().timeWaitPorts({ remotePort: port })
    expect([...here].filter((clientPort) => !there.has(clientPort))).toEqual([])
  })

  it('leaves TIME_WAIT at one end or the other after more than 90 % as Node makes it', async () => {
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

labDescribe('a server whose clients wait for its end', ['root', 'ip', 'openssl'], () => {
  const namespace = useNamespace(manyPorts)

  it('keeps one TIME_WAIT for each connection as Node makes it', async () => {
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
  ] as const)("keeps none with close: 'deliver' (%s)", async (protocol, requests) => {
    const secured = protocol === 'https' ? { certificate: makeCertificate() } : {}
    const { server, port } = await serveHttp(namespace(), { close: 'deliver', ...secured })
    await askAndWaitForEnd(namespace(), { port, requests, ...secured })
    const seen = await afterAllClosed(server)
    expect(seen).toMatchObject({ connections: requests, requests, errors: {}, warnings: [] })
    expect(seen.counters).toMatchObject({ closes: { deliver: requests }, discardedBytes: 0 })
    expect(await namespace().timeWaits({ localPort: port })).toBe(0)
  })
})

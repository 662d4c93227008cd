import { readFileSync } from 'node:fs'
import type { SocketCounters } from '../../lib/clients/autocannon'
import { makeCertificate } from '../helpers/certificate'
import { afterAllClosed, serveHttp, type HttpServerSeen } from '../helpers/http-runs'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import { size } from '../helpers/size'

const AMOUNT = size('LAB_REQUESTS')
/** A port for each connection, so that every TIME_WAIT entry can be counted. */
const manyPorts = { 'net.ipv4.ip_local_port_range': '1024 65535' }
/** One request on each connection; the client closes once it has the answer. */
const onePerConnection = { connections: 16, amount: AMOUNT, reconnectRate: 1 }
/** The server closes too. */
const closing = { ...onePerConnection, headers: { connection: 'close' } }

interface Run {
  client: { errors: number; sent: number; sockets?: SocketCounters; warnings: string[] }
  server: HttpServerSeen
  /** The TIME_WAIT entries left at each end. */
  timeWaits: { client: number; server: number }
}

interface RunConfig {
  options: object
  /** Undefined: autocannon without tuning. */
  tuning?: object
  secure?: boolean
  /** Both processes on one CPU, where the two ends do not close in the same moment. */
  onOneCpu?: boolean
}

const threads = [
  ['in one thread', {}],
  ['in two worker threads', { workers: 2 }],
] as const

const needs = ['root', 'ip', 'openssl', 'taskset'] as const

labDescribe('autocannon with one request per connection', needs, () => {
  const namespace = useNamespace(manyPorts)

  async function run(config: RunConfig): Promise<Run> {
    const { secure = false, onOneCpu = false, ...rest } = config
    const certificate = secure ? { certificate: makeCertificate() } : {}
    const { server, port } = await serveHttp(namespace(), certificate)
    const task = { ...rest, port, protocol: secure ? 'https' : 'http' }
    const { program } = await namespace().start('autocannon-client', task)
    if (onOneCpu) await Promise.all([server.pid, program.pid].map(pin))
    const client = (await program.ask('run')) as Run['client']
    await program.stop()
    const seen = await afterAllClosed(server)
    const timeWaits = {
      client: await namespace().timeWaits({ remotePort: port }),
      server: await namespace().timeWaits({ localPort: port }),
    }
    await server.stop()
    return { client, server: seen, timeWaits }
  }

  async function pin(pid: number): Promise<void> {
    await namespace().run('taskset', '-a', '-c', '-p', firstCpu(), String(pid))
  }

  function expectAllDelivered({ client, server }: Run, amount = AMOUNT): void {
    expect(client).toMatchObject({ errors: 0, sent: amount, warnings: [] })
    const closes = { fin: 0, deliver: amount, lingering: 0, reset: 0 }
    expect(client.sockets).toEqual({
      created: amount,
      failed: 0,
      broken: 0,
      unfinished: 0,
      failures: {},
      closes,
      fallbacks: {},
      timeWaitLeft: 0,
    })
    expect(server).toMatchObject({ connections: amount, requests: amount, errors: {} })
  }

  it.each(threads)('leaves no TIME_WAIT at either end when tuned (%s)', async (_, more) => {
    const done = await run({ options: { ...onePerConnection, ...more }, tuning: {} })
    expectAllDelivered(done)
    expect(done.timeWaits).toEqual({ client: 0, server: 0 })
  })

  it('leaves no TIME_WAIT over TLS when tuned', async () => {
    const amount = Math.min(AMOUNT, 2_000)
    const options = { ...onePerConnection, amount }
    const done = await run({ options, tuning: {}, secure: true })
    expectAllDelivered(done, amount)
    expect(done.timeWaits).toEqual({ client: 0, server: 0 })
  })

  it.each(threads)(
    'leaves TIME_WAIT after more than 90 % with plain autocannon (%s)',
    async (_, more) => {
      const { client, timeWaits } = await run({ options: { ...onePerConnection, ...more } })
      expect(client).toMatchObject({ errors: 0, sent: AMOUNT })
      expect(timeWaits.client).toBeGreaterThan(0.9 * AMOUNT)
    },
  )

  it.each(threads)(
    'leaves TIME_WAIT after at most 1 % when tuned and the server closes too (%s)',
    async (_, more) => {
      const done = await run({ options: { ...closing, ...more }, tuning: {}, onOneCpu: true })
      expectAllDelivered(done)
      expect(done.timeWaits.client).toBeLessThanOrEqual(AMOUNT / 100)
    },
  )
})

labDescribe('autocannon in a narrow port range', ['root', 'ip'], () => {
  const namespace = useNamespace({ 'net.ipv4.ip_local_port_range': '40000 40099' })

  it.each(threads)('reports that the ports ran out, and names the fixes (%s)', async (_, more) => {
    const { port, server } = await serveHttp(namespace(), {})
    const options = { connections: 2, amount: 400, reconnectRate: 1, ...more }
    const task = { options, tuning: { close: 'fin' }, port }
    const { sockets } = (await namespace().perform('autocannon-client', task)) as Run['client']
    await server.stop()
    const { created = 0, failed = 0, failures = {} } = sockets ?? {}
    expect(created).toBeLessThanOrEqual(100)
    expect(failed).toBeGreaterThan(0)
    expect(Object.keys(failures)).toEqual(['EADDRNOTAVAIL'])
    const { count, message = '' } = failures.EADDRNOTAVAIL ?? {}
    expect(count).toBe(failed)
    expect(message).toContain(
      'all 100 ephemeral ports (40000 to 40099) from this source to 127.0.0.1',
    )
    expect(message).toContain("Remedies: keep connections open and reuse them; close: 'deliver'")
  })
})

/** The first of the CPUs that this process may run on. */
function firstCpu(): string {
  const status = readFileSync('/proc/self/status', 'utf8')
  return /^Cpus_allowed_list:\s*(\d+)/m.exec(status)?.[1] ?? '0'
}

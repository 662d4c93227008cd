import { makeCertificate } from '../helpers/certificate'
import { afterAllClosed, serveHttp } from '../helpers/http-runs'
import { labDescribe } from '../helpers/lab'
import { useNamespace, type Namespace } from '../helpers/namespace'
import { size } from '../helpers/size'
import type { Program } from '../helpers/program'

/** A port for each connection, so that every TIME_WAIT entry can be counted. */
const manyPorts = { 'net.ipv4.ip_local_port_range': '1024 65535' }

const REQUESTS = size('LAB_REQUESTS')
const FEW = Math.min(REQUESTS, 2_000)

interface Task {
  port: number
  requests: number
  tuned?: boolean
  ca?: string
}

/** Makes the requests, each on its own connection, 32 at a time, and expects an answer to each. */
async function ask(namespace: Namespace, task: Task): Promise<void> {
  const all = { ...task, options: { keepAlive: false } }
  const client = await namespace.perform('http-agent-client', all)
  expect(client).toMatchObject({ answered: task.requests, errors: {}, warnings: [] })
}

/** Asserts that the server had one request on each connection, and no errors. */
async function expectNoErrors(server: Program, requests: number): Promise<void> {
  const seen = await afterAllClosed(server)
  expect(seen).toMatchObject({ connections: requests, requests, errors: {} })
}

labDescribe('TunedAgent with one request per connection', ['root', 'ip'], () => {
  const namespace = useNamespace(manyPorts)

  it('leaves no TIME_WAIT if it closes, and causes no error at the server', async () => {
    const requests = REQUESTS
    const { server, port } = await namespace().serve('patient-server')
    await ask(namespace(), { port, requests })
    await expectNoErrors(server, requests)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
    expect(await namespace().timeWaits({ localPort: port })).toBe(0)
  })

  it('replaces http.Agent, which leaves TIME_WAIT after each request', async () => {
    const requests = FEW
    const { server, port } = await namespace().serve('patient-server')
    await ask(namespace(), { port, requests, tuned: false })
    await expectNoErrors(server, requests)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(requests)
  })
})

// A separate namespace, because the next server could use a port that a TIME_WAIT entry names as the client's.
labDescribe('TunedAgent with a server that closes too', ['root', 'ip'], () => {
  const namespace = useNamespace(manyPorts)

  it('leaves TIME_WAIT after at most 1 % of the requests', async () => {
    const requests = REQUESTS
    const { server, port } = await serveHttp(namespace())
    await ask(namespace(), { port, requests })
    await expectNoErrors(server, requests)
    const count = await namespace().timeWaits({ remotePort: port })
    expect(count).toBeLessThanOrEqual(requests / 100)
  })
})

labDescribe('TunedHttpsAgent with one request per connection', ['root', 'ip', 'openssl'], () => {
  const namespace = useNamespace(manyPorts)

  it('leaves TIME_WAIT after at most 1 %, and causes no error at the server', async () => {
    const requests = FEW
    const certificate = makeCertificate()
    const { server, port } = await serveHttp(namespace(), { certificate })
    await ask(namespace(), { port, requests, ca: certificate.cert })
    await expectNoErrors(server, requests)
    const count = await namespace().timeWaits({ remotePort: port })
    expect(count).toBeLessThanOrEqual(requests / 100)
  })
})

labDescribe('TunedAgent with minIdle', ['root', 'ip'], () => {
  const namespace = useNamespace(manyPorts)

  it('leaves no TIME_WAIT for connections that expire or are closed unused', async () => {
    const { server, port } = await namespace().serve('http-server', { keepAliveTimeout: 2_000 })
    const client = await namespace().perform('http-agent-client', {
      port,
      requests: 40,
      atATime: 1,
      // 4 s in all; an idle connection lives for 1 s.
      pauseMs: 200,
      options: { minIdle: 8 },
    })
    expect(client).toMatchObject({ answered: 40, errors: {}, warnings: [] })
    expect(client).toMatchObject({ counters: { warmFailed: 0 } })
    const { counters } = client as { counters: { warmedLost: number } }
    expect(counters.warmedLost).toBeGreaterThan(8)
    expect(await afterAllClosed(server)).toMatchObject({ requests: 40, errors: {} })
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
  })
})

import { makeCertificate } from '../helpers/certificate'
import { afterAllClosed, serveHttp } from '../helpers/http-runs'
import { labDescribe } from '../helpers/lab'
import { useNamespace, type Namespace } from '../helpers/namespace'
import { size } from '../helpers/size'
import type { Program } from '../helpers/program'

/** Every TIME_WAIT entry is to be counted, so there must be a port for each connection. */
const manyPorts = { 'net.ipv4.ip_local_port_range': '1024 65535' }

const REQUESTS = size('LAB_REQUESTS')
const FEW = Math.min(REQUESTS, 2_000)

interface Task {
  port: number
  requests: number
  tuned?: boolean
  ca?: string
}

/** Makes the requests, each on a connection of its own, 32 at a time; all are to be answered. */
async function ask(namespace: Namespace, task: Task): Promise<void> {
  const all = { ...task, options: { keepAlive: false } }
  const client = await namespace.perform('http-agent-client', all)
  expect(client).toMatchObject({ answered: task.requests, errors: {}, warnings: [] })
}

/** That the server had no trouble with the connections, each of which had one request. */
async function expectNoErrors(server: Program, requests: number): Promise<void> {
  const seen = await afterAllClosed(server)
  expect(seen).toMatchObject({ connections: requests, requests, errors: {} })
}

labDescribe('TunedAgent with one request per connection', ['root', 'ip'], () => {
  const namespace = useNamespace(manyPorts)

  it('leaves no TIME_WAIT where it closes, and the server has no error', async () => {
    const requests = REQUESTS
    const { server, port } = await namespace().serve('patient-server')
    await ask(namespace(), { port, requests })
    await expectNoErrors(server, requests)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
    expect(await namespace().timeWaits({ localPort: port })).toBe(0)
  })

  it('leaves one for each as http.Agent makes its connections', async () => {
    const requests = FEW
    const { server, port } = await namespace().serve('patient-server')
    await ask(namespace(), { port, requests, tuned: false })
    await expectNoErrors(server, requests)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(requests)
  })
})

// In a namespace of its own: a client's port that a server's TIME_WAIT names could be the next server's.
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

  it('leaves TIME_WAIT after at most 1 %, and the server has no error', async () => {
    const requests = FEW
    const certificate = makeCertificate()
    const { server, port } = await serveHttp(namespace(), { certificate })
    await ask(namespace(), { port, requests, ca: certificate.cert })
    await expectNoErrors(server, requests)
    const count = await namespace().timeWaits({ remotePort: port })
    expect(count).toBeLessThanOrEqual(requests / 100)
  })
})

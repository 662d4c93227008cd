import type { ServerCounters, ShutdownReport } from '../../lib'
import { labDescribe } from '../helpers/lab'
import { useNamespace, type Namespace } from '../helpers/namespace'
import { NGINX_PORT, startNginx } from '../helpers/nginx'
import { answered, stopped } from '../helpers/prefork-client'
import { allGone } from '../helpers/processes'
import type { Program } from '../helpers/program'
import { until } from '../helpers/until'

const host = '127.0.0.1'
const ROUNDS = 6
const CLIENTS = 32

interface Group {
  server: Program
  port: number
}

/** Connections are closed after 3 s of silence. */
const patient = { shutdownTimeoutMs: 24_000, keepAliveTimeout: 3_600_000 }

function group(namespace: Namespace, port = 0): Promise<Group> {
  return namespace.serve('prefork-server', { host, port, workers: 2, ...patient })
}

/** nginx does not repeat a POST. */
async function load(namespace: Namespace, more: object = {}): Promise<Program> {
  const config = { host, port: NGINX_PORT, kept: CLIENTS, method: 'POST', ...more }
  const { program } = await namespace.start('prefork-client', config)
  return program
}

/** Sends SIGTERM to a primary and waits until it and its workers are gone. */
async function terminate({ server }: Group): Promise<void> {
  const pids = (await server.ask('pids')) as number[]
  expect(pids).toHaveLength(2)
  process.kill(server.pid, 'SIGTERM')
  await allGone([server.pid, ...pids])
}

interface Limited {
  server: Program
  port: number
}

function limited(namespace: Namespace, config: object): Promise<Limited> {
  return namespace.serve('limited-server', { host, ...config })
}

async function countersOf({ server }: Limited): Promise<ServerCounters> {
  return (await server.ask('counters')) as ServerCounters
}

labDescribe(
  'a tuned server behind nginx, which keeps its connections,',
  ['root', 'ip', 'nginx'],
  () => {
    const namespace = useNamespace({ 'net.ipv4.ip_local_port_range': '1024 65535' })

    it('makes no POST fail while its connections end by age and by number of requests', async () => {
      const limits = { maxConnectionAgeMs: 200, maxRequests: 30 }
      const one = await limited(namespace(), limits)
      const nginx = await startNginx(namespace(), [one.port])
      const clients = await load(namespace(), { keptPauseMs: 0 })
      const { retired } = await until(
        'connections have ended by both',
        () => countersOf(one),
        ({ retired: { age, requests } }) => age >= CLIENTS && requests >= 10 * CLIENTS,
      )
      const { failed, answered: requests } = await stopped(clients)
      expect(failed).toEqual({})
      expect(requests).toBeGreaterThan(30 * retired.requests)
      await nginx.stop()
    })

    it('makes no POST fail while two servers alternately shut down and restart', async () => {
      const servers = [await limited(namespace(), {}), await limited(namespace(), {})]
      const nginx = await startNginx(
        namespace(),
        servers.map(({ port }) => port),
      )
      const clients = await load(namespace(), { keptPauseMs: 0 })
      for (let round = 0; round < ROUNDS; round++) {
        await answered(clients, 10 * CLIENTS)
        const [old] = servers.splice(0, 1)
        if (old === undefined) throw new Error('there are two')
        const options = { overMs: 500, deadlineMs: 24_500 }
        const report = (await old.server.ask('shutdown', options)) as ShutdownReport
        expect(report.cut).toBe(0)
        expect(report.answer).toBeGreaterThan(0)
        servers.push(await limited(namespace(), { port: old.port }))
      }
      const { answered: requests, failed } = await stopped(clients)
      expect(failed).toEqual({})
      expect(requests).toBeGreaterThan(ROUNDS * 10 * CLIENTS)
      await nginx.stop()
    })
  },
)

labDescribe('prefork() behind nginx, which keeps its connections,', ['root', 'ip', 'nginx'], () => {
  const namespace = useNamespace({ 'net.ipv4.ip_local_port_range': '1024 65535' })

  it('makes no POST fail while the workers of a group are replaced', async () => {
    const { server, port } = await group(namespace())
    const nginx = await startNginx(namespace(), [port])
    const clients = await load(namespace())
    for (let round = 0; round < ROUNDS; round++) {
      await answered(clients, 10 * CLIENTS)
      expect(await server.ask('restart')).toBe('done')
    }
    const { answered: requests, failed } = await stopped(clients)
    expect(failed).toEqual({})
    expect(requests).toBeGreaterThan(ROUNDS * 10 * CLIENTS)
    await nginx.stop()
  })

  it('makes no POST fail while two groups alternately receive SIGTERM and restart', async () => {
    const groups = [await group(namespace()), await group(namespace())]
    const nginx = await startNginx(
      namespace(),
      groups.map(({ port }) => port),
    )
    const clients = await load(namespace())
    for (let round = 0; round < ROUNDS; round++) {
      await answered(clients, 10 * CLIENTS)
      const [old] = groups.splice(0, 1)
      if (old === undefined) throw new Error('there are two')
      await terminate(old)
      groups.push(await group(namespace(), old.port))
    }
    const { answered: requests, failed } = await stopped(clients)
    expect(failed).toEqual({})
    expect(requests).toBeGreaterThan(ROUNDS * 10 * CLIENTS)
    await nginx.stop()
  })

  it('closes even though nginx keeps idle connections to it', async () => {
    const one = await group(namespace())
    const nginx = await startNginx(namespace(), [one.port])
    const clients = await load(namespace())
    await answered(clients, 10 * CLIENTS)
    expect((await stopped(clients)).failed).toEqual({})
    const { ESTABLISHED = 0 } = await namespace().states({ remotePort: one.port })
    expect(ESTABLISHED).toBeGreaterThan(0)
    expect(await one.server.ask('close')).toBe('done')
    // Its workers were not cut off.
    expect(await one.server.ask('cleaned')).toBe(2)
    await nginx.stop()
  })
})

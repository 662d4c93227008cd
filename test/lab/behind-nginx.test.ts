import { labDescribe } from '../helpers/lab'
import { useNamespace, type Namespace } from '../helpers/namespace'
import { NGINX_PORT, startNginx } from '../helpers/nginx'
import { answered, stopped } from '../helpers/prefork-client'
import { allGone } from '../helpers/processes'
import type { Program } from '../helpers/program'

const host = '127.0.0.1'
const ROUNDS = 6
const CLIENTS = 32

interface Group {
  server: Program
  port: number
}

/** Idle connections have 3 s of silence. */
const patient = { shutdownTimeoutMs: 24_000, keepAliveTimeout: 3_600_000 }

function group(namespace: Namespace, port = 0): Promise<Group> {
  return namespace.serve('prefork-server', { host, port, workers: 2, ...patient })
}

/** POST, which nginx does not send a second time. */
async function load(namespace: Namespace): Promise<Program> {
  const config = { host, port: NGINX_PORT, kept: CLIENTS, method: 'POST' }
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

labDescribe('prefork() behind nginx, which keeps its connections', ['root', 'ip', 'nginx'], () => {
  const namespace = useNamespace({ 'net.ipv4.ip_local_port_range': '1024 65535' })

  it('fails no POST while the workers of a group are replaced', async () => {
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

  it('fails no POST while one of two groups gets SIGTERM and comes again, in turn', async () => {
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

  it('closes by itself although nginx keeps idle connections to it', async () => {
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

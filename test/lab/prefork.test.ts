import { readFileSync } from 'node:fs'
import type { PreforkCounters } from '../../lib/prefork'
import { labDescribe } from '../helpers/lab'
import { useNamespace, type Namespace } from '../helpers/namespace'
import { answered, finished, seenBy, stopped, type ClientSeen } from '../helpers/prefork-client'
import { allGone, isRunning } from '../helpers/processes'
import type { Program } from '../helpers/program'
import { size } from '../helpers/size'
import { until } from '../helpers/until'

const host = '127.0.0.1'
const RESTARTS = 10
const WAITING = 40

/** Every connection of a test has its own port. */
const manyPorts = { 'net.ipv4.ip_local_port_range': '1024 65535' }

function group(
  namespace: Namespace,
  config: object = {},
): Promise<{ server: Program; port: number }> {
  return namespace.serve('prefork-server', { host, workers: 2, ...config })
}

async function client(namespace: Namespace, config: object): Promise<Program> {
  const { program } = await namespace.start('prefork-client', { host, ...config })
  return program
}

async function countersOf(server: Program): Promise<PreforkCounters[]> {
  return (await server.ask('counters')) as PreforkCounters[]
}

async function workers(server: Program): Promise<number[]> {
  return (await server.ask('pids')) as number[]
}

/**
 * Long enough that a client without processor time for a while is not considered idle, neither by the server in normal
 * operation nor by a worker that ends (an eighth of shutdownTimeoutMs).
 */
const unhurried = { shutdownTimeoutMs: 600_000, keepAliveTimeout: 3_600_000 }

labDescribe('prefork() under load', ['root', 'ip'], () => {
  const namespace = useNamespace(manyPorts)

  it('makes no request fail while its workers are replaced ten times at 500 connections/s', async () => {
    const { server, port } = await group(namespace(), unhurried)
    const load = await client(namespace(), { port, perSecond: 500, kept: 8 })
    for (let restart = 0; restart < RESTARTS; restart++) {
      await answered(load, 100)
      expect(await server.ask('restart')).toBe('done')
    }
    await answered(load, 100)
    const { failed, answered: requests, onKept, pids } = await stopped(load)
    expect(failed).toEqual({})
    expect(requests).toBeGreaterThan(RESTARTS * 100)
    expect(onKept).toBeGreaterThan(RESTARTS)
    expect(Object.keys(pids)).toHaveLength(2 * (RESTARTS + 1))
    expect(await countersOf(server)).toMatchObject([
      { restarts: RESTARTS, crashes: 0 },
      { restarts: RESTARTS, crashes: 0 },
    ])
  })

  it('resets no connection when it receives SIGTERM, and leaves no process and no open port', async () => {
    const { server, port } = await group(namespace(), unhurried)
    const load = await client(namespace(), { port, perSecond: 500, kept: 8 })
    await answered(load, 300)
    const pids = await workers(server)
    expect(pids).toHaveLength(2)
    process.kill(server.pid, 'SIGTERM')
    await allGone([server.pid, ...pids])
    await until(
      'clients are refused',
      () => seenBy(load),
      ({ failed }) => (failed.ECONNREFUSED ?? 0) > 0,
    )
    const { failed } = await stopped(load)
    expect(Object.keys(failed)).toEqual(['ECONNREFUSED'])
    expect((await namespace().run('ss', '-Hltn', `sport = :${String(port)}`)).trim()).toBe('')
  })

  it('balances connections between its workers within 10 %', async () => {
    const times = size('PREFORK_CONNECTIONS')
    const { server, port } = await group(namespace())
    const load = await client(namespace(), { port })
    const { failed } = (await load.ask('connections', { times, atATime: 32 })) as ClientSeen
    expect(failed).toEqual({})
    const counts = (await countersOf(server)).map(({ connections }) => connections)
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(times)
    expect(Math.min(...counts) / Math.max(...counts)).toBeGreaterThan(0.9)
  })
})

labDescribe('connections that wait to be accepted', ['root', 'ip'], () => {
  const namespace = useNamespace()

  /** Makes clients whose connections are complete, and in the queue of a stopped worker. */
  async function waiting(config: object = {}): Promise<{ server: Program; load: Program }> {
    const { server, port } = await group(namespace(), config)
    const load = await client(namespace(), { port })
    for (const pid of await workers(server)) process.kill(pid, 'SIGSTOP')
    await load.ask('burst', { times: WAITING })
    await until(
      'the connections are complete',
      () => namespace().states({ remotePort: port }),
      ({ ESTABLISHED = 0 }) => ESTABLISHED === WAITING,
    )
    return { server, load }
  }

  it('are served by the replacement of a worker that is killed', async () => {
    const { server, load } = await waiting()
    const before = await workers(server)
    for (const pid of before) process.kill(pid, 'SIGKILL')
    const { answered: served, failed, pids } = await finished(load)
    expect({ served, failed }).toEqual({ served: WAITING, failed: {} })
    expect(Object.keys(pids).filter((pid) => before.includes(Number(pid)))).toEqual([])
    expect(await countersOf(server)).toMatchObject([{ crashes: 1 }, { crashes: 1 }])
  })

  it('are served when the group closes', async () => {
    const { server, load } = await waiting()
    const closing = server.ask('close')
    for (const pid of await workers(server)) process.kill(pid, 'SIGCONT')
    const { answered: served, failed } = await finished(load)
    expect({ served, failed }).toEqual({ served: WAITING, failed: {} })
    expect(await closing).toBe('done')
  })

  it('are served when a stopped worker is replaced', async () => {
    const { server, load } = await waiting({ shutdownTimeoutMs: 500 })
    expect(await server.ask('restart')).toBe('done')
    const { answered: served, failed } = await finished(load)
    expect({ served, failed }).toEqual({ served: WAITING, failed: {} })
  })
})

labDescribe('connections whose handshake is under way', ['root', 'ip', 'nft', 'ipv6'], () => {
  const namespace = useNamespace()

  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '::1'],
    ['127.0.0.1', '::'],
  ])('are served when the group closes (from %s to %s)', async (from, to) => {
    const { server, port } = await group(namespace(), { host: to })
    const load = await client(namespace(), { port, host: from })
    const acknowledgements = `tcp dport ${String(port)} tcp flags & (syn | rst) == 0x0`
    const chain = '{ type filter hook input priority 0; }'
    await namespace().run('nft', 'add', 'table', 'inet', 'test')
    await namespace().run('nft', `add chain inet test in ${chain}`)
    await namespace().run('nft', `add rule inet test in ${acknowledgements} drop`)
    await load.ask('burst', { times: WAITING })
    await until(
      'the connections are half-open',
      () => namespace().states({ localPort: port }),
      ({ SYN_RECV = 0 }) => SYN_RECV === WAITING,
    )
    const closing = server.ask('close')
    expect(await server.ask('restart')).toMatchObject({ code: 'ERR_SOCKET_TUNER_PREFORK_CLOSED' })
    // The server retransmits its SYN-ACK, which the client acknowledges again.
    await namespace().run('nft', 'delete', 'table', 'inet', 'test')
    const { answered: served, failed } = await finished(load)
    expect({ served, failed }).toEqual({ served: WAITING, failed: {} })
    expect(await closing).toBe('done')
  })
})

labDescribe('a primary that closes its group', ['root', 'ip', 'strace'], () => {
  const namespace = useNamespace()

  /** The system calls of a kind that the primary makes while it closes. */
  async function callsWhileClosing(server: Program, ...expressions: string[]): Promise<string> {
    const strace = namespace().spawn('strace', '-f', '-p', String(server.pid), ...expressions)
    await strace.wrote(/attached/)
    expect(await server.ask('close')).toBe('done')
    await strace.stop('SIGINT')
    return strace.output
  }

  it('counts half-open connections in the kernel without reading a table of all sockets', async () => {
    const { server } = await group(namespace())
    const calls = await callsWhileClosing(server, '-e', 'trace=open,openat,socket')
    expect(calls).toContain('NETLINK_SOCK_DIAG')
    expect(calls).not.toContain('/proc/net/tcp')
    expect(await server.ask('warnings')).toEqual([])
  })

  it.each(['EPERM', 'EPROTONOSUPPORT'])(
    'closes and warns if netlink fails with %s',
    async (code) => {
      const { server } = await group(namespace())
      const workersBefore = await workers(server)
      const calls = await callsWhileClosing(server, '-e', `inject=socket:error=${code}`)
      expect(calls).toContain(`${code} (`)
      expect(await server.ask('warnings')).toEqual(['SOCKET_TUNER_HANDSHAKES_UNSEEN'])
      expect(workersBefore.filter(isRunning)).toEqual([])
    },
  )
})

labDescribe("steering 'cpu'", ['root', 'ip', 'taskset'], () => {
  const namespace = useNamespace()

  it('assigns the connections of a CPU to one worker', async () => {
    const cpus = allowedCpus().slice(0, 2)
    expect(cpus).toHaveLength(2)
    const { server, port } = await group(namespace(), { steering: 'cpu' })
    for (const cpu of cpus) {
      const before = await countersOf(server)
      const load = await client(namespace(), { port })
      await namespace().run('taskset', '-a', '-c', '-p', String(cpu), String(load.pid))
      await load.ask('connections', { times: 200, atATime: 8 })
      const after = await countersOf(server)
      const more = after.map(
        ({ connections }, slot) => connections - (before[slot]?.connections ?? 0),
      )
      expect(more).toEqual(cpu % 2 === 0 ? [200, 0] : [0, 200])
    }
  })
})

labDescribe('a privileged port without privilege', ['root', 'ip'], () => {
  const namespace = useNamespace({ 'net.ipv4.ip_unprivileged_port_start': '1024' })

  it("is refused with Node's error", async () => {
    const { ready } = await namespace().start('prefork-server', { host, port: 80, uid: 65_534 })
    expect(ready).toMatchObject({
      error: { code: 'EACCES', syscall: 'listen', address: host, port: 80 },
      pids: [],
    })
  })
})

/** Returns the CPUs that this process may run on. */
function allowedCpus(): number[] {
  const [, list = ''] =
    /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}

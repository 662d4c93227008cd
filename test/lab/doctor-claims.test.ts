import type { SocketCounts } from '../../lib/ports'
import { labDescribe } from '../helpers/lab'
import { Namespace } from '../helpers/namespace'
import { extendedCounter } from '../helpers/tcp-table'
import { until } from '../helpers/until'

const PORT = 9_001
const RANGE = 'net.ipv4.ip_local_port_range'
const TW_REUSE = 'net.ipv4.tcp_tw_reuse'

interface Ends {
  namespace: Namespace
  ask: (question: string, detail?: unknown) => Promise<unknown>
  /** The state and timers of the sockets whose peer has this port. */
  counted: (state: string, port?: number) => Promise<SocketCounts>
}

/** A process in its own namespace that has both ends of its connections and listens on PORT. */
async function withEnds(
  sysctls: Record<string, string>,
  use: (ends: Ends) => Promise<void>,
  config: object = {},
): Promise<void> {
  const namespace = new Namespace(sysctls)
  try {
    // An address of this host outside of 127.0.0.0/8.
    await namespace.run('ip', 'address', 'add', '10.9.9.9/32', 'dev', 'lo')
    const { program } = await namespace.start('ends', config)
    const ask = (question: string, detail?: unknown) => program.ask(question, detail)
    const counted = async (state: string, remotePort = PORT) =>
      (await ask('census', {
        states: [state],
        remotePort,
        timers: true,
        groupBy: [],
      })) as SocketCounts
    expect(await ask('listen', { port: PORT })).toEqual({ port: PORT })
    await use({ namespace, ask, counted })
  } finally {
    await namespace.remove()
  }
}

function ports(min: number, max: number): number[] {
  return Array.from({ length: max - min + 1 }, (_, index) => min + index)
}

/** Uses up all ports for each of `count` destinations. */
async function fillEach(ask: Ends['ask'], destinations: number): Promise<number[][]> {
  const all: number[][] = []
  for (let port = PORT + 1; port <= PORT + destinations; port++) {
    await ask('listen', { port })
    all.push((await ask('fill', { port })) as number[])
  }
  return all
}

labDescribe("the doctor's text about ephemeral ports", ['root', 'ip'], () => {
  it('is true: the ports with the parity of the first are assigned before the others', async () => {
    await withEnds({ [RANGE]: '40000 40099' }, async ({ ask }) => {
      for (const filled of await fillEach(ask, 5)) {
        expect(filled.slice(0, 50).filter((port) => port % 2 === 1)).toEqual([])
        expect(filled.toSorted()).toEqual(ports(40_000, 40_099))
      }
    })
  })

  it('is true: with ends of the same parity a destination may lack only the first port', async () => {
    await withEnds({ [RANGE]: '40000 40100' }, async ({ ask }) => {
      for (const filled of await fillEach(ask, 20)) {
        const lacking = ports(40_000, 40_100).filter((port) => !filled.includes(port))
        expect([[], [40_000]]).toContainEqual(lacking)
      }
    })
  })

  it('is true: a listener on any address blocks its port for all destinations', async () => {
    await withEnds({ [RANGE]: '40000 40009' }, async ({ ask }) => {
      await ask('listen', { host: '127.0.0.9', port: 40_003 })
      const filled = (await ask('fill', { port: PORT })) as number[]
      expect(filled.toSorted()).toEqual(ports(40_000, 40_009).filter((port) => port !== 40_003))
    })
  })

  it('is true: a service cannot use the port of an outgoing connection, nor of its TIME_WAIT entry', async () => {
    await withEnds({ [RANGE]: '40000 40001' }, async ({ ask, counted }) => {
      const { localPort } = (await ask('connect', { port: PORT })) as { localPort: number }
      const service = { host: '0.0.0.0', port: localPort }
      expect(await ask('listen', service)).toEqual({ code: 'EADDRINUSE' })
      await ask('closeClients')
      expect((await counted('TIME_WAIT')).total).toBe(1)
      expect(await ask('listen', service)).toEqual({ code: 'EADDRINUSE' })
    })
  })

  it('is true: a reserved port is only assigned to programs that name it', async () => {
    const reserved = { 'net.ipv4.ip_local_reserved_ports': '40004-40009' }
    await withEnds({ [RANGE]: '40000 40009', ...reserved }, async ({ ask }) => {
      const filled = (await ask('fill', { port: PORT })) as number[]
      expect(filled.toSorted()).toEqual(ports(40_000, 40_003))
      expect(await ask('listen', { port: 40_005 })).toEqual({ port: 40_005 })
    })
  })
})

labDescribe("the doctor's text about tcp_tw_reuse", ['root', 'ip'], () => {
  const elsewhere = { host: '10.9.9.9' }

  /** Uses both ports and closes. Connects again once they have been in TIME_WAIT for 2 s. */
  async function reconnect({ ask, counted }: Ends): Promise<unknown> {
    await ask('fill', { port: PORT })
    await ask('closeClients')
    await until(
      'both ports have been in TIME_WAIT for 2 s',
      () => counted('TIME_WAIT'),
      ({ total, groups }) => total === 2 && (groups[0]?.lastTimerMs ?? Infinity) < 58_000,
    )
    return ask('connect', { port: PORT })
  }

  const used = expect.objectContaining({ localPort: expect.any(Number) as number }) as unknown
  const refused = { code: 'EADDRNOTAVAIL' }

  it.each<[string, string, object, unknown]>([
    ['0: no port is used again', '0', {}, refused],
    ['2: a port is used again for a loopback address', '2', {}, used],
    ['2: no port is used again for another address of the host', '2', elsewhere, refused],
    ['1: a port is used again for another address of the host', '1', elsewhere, used],
  ])('is true for %s', async (_, value, config, expected) => {
    const sysctls = { [RANGE]: '40000 40001', [TW_REUSE]: value }
    await withEnds(
      sysctls,
      async (ends) => {
        expect(await reconnect(ends)).toEqual(expected)
      },
      config,
    )
  })

  it('is true: without timestamps no port is reused', async () => {
    const sysctls = { [RANGE]: '40000 40001', [TW_REUSE]: '1', 'net.ipv4.tcp_timestamps': '0' }
    await withEnds(sysctls, async (ends) => {
      expect(await reconnect(ends)).toEqual(refused)
    })
  })
})

labDescribe("the doctor's text about TIME_WAIT", ['root', 'ip'], () => {
  it('is true: tcp_fin_timeout affects FIN_WAIT2, and TIME_WAIT still lasts 60 s', async () => {
    await withEnds({ 'net.ipv4.tcp_fin_timeout': '20' }, async ({ ask, counted }) => {
      const silent = PORT + 1
      await ask('listen', { port: silent, keep: true })
      await ask('connect', { port: PORT })
      await ask('closeClients')
      await ask('connect', { port: silent })
      await ask('leaveClients')
      const waiting = await until(
        'the client waits for the FIN of its server',
        () => counted('FIN_WAIT2', silent),
        ({ total }) => total === 1,
      )
      expect(waiting.groups[0]?.lastTimerMs).toBeLessThanOrEqual(20_000)
      expect((await counted('TIME_WAIT')).groups[0]?.lastTimerMs).toBeGreaterThan(20_000)
    })
  })

  it('is true: tcp_max_tw_buckets prevents new entries and ends no existing one', async () => {
    const buckets = 'net.ipv4.tcp_max_tw_buckets'
    await withEnds({ [buckets]: '1000' }, async ({ namespace, ask, counted }) => {
      await ask('fill', { port: PORT, most: 50 })
      await ask('closeClients')
      expect((await counted('TIME_WAIT')).total).toBe(50)
      namespace.sysctl(buckets, '10')
      await ask('fill', { port: PORT, most: 20 })
      await ask('closeClients')
      expect((await counted('TIME_WAIT')).total).toBe(50)
      const netstat = await namespace.run('cat', '/proc/net/netstat')
      expect(extendedCounter(netstat, 'TCPTimeWaitOverflow')).toBe(20)
    })
  })

  it.each([
    ['0: a RST ends it', '0', 0],
    ['1: a RST does not', '1', 1],
  ])('is true for tcp_rfc1337=%s', async (_, value, left) => {
    await withEnds({ 'net.ipv4.tcp_rfc1337': value }, async ({ namespace, ask, counted }) => {
      const { localPort } = (await ask('connect', { port: PORT })) as { localPort: number }
      await ask('closeClients')
      await ask('closeServer', 0)
      expect((await counted('TIME_WAIT')).total).toBe(1)
      const resetsBefore = await resetsSent(namespace)
      // The entry answers the SYN by an ACK, and the peer, which has no connection, answers that by a RST.
      void ask('connect', { port: localPort, localPort: PORT }).catch(() => undefined)
      await until(
        'the peer has sent its RST',
        () => resetsSent(namespace),
        (sent) => sent > resetsBefore,
      )
      expect((await counted('TIME_WAIT')).total).toBe(left)
    })
  })
})

labDescribe("the doctor's text about tcp_migrate_req", ['root', 'ip'], () => {
  it.each([
    ['0: connections in the queue of a closed listener are reset', '0', false],
    ['1: they move to another one', '1', true],
  ])('is true for %s', async (_, value, isKept) => {
    await withEnds({ 'net.ipv4.tcp_migrate_req': value }, async ({ namespace, ask }) => {
      const shared = { port: PORT + 1, settings: { SO_REUSEPORT: true } }
      const first = await namespace.start('ends')
      const second = await namespace.start('ends')
      for (const { program } of [first, second]) await program.ask('listen', shared)
      // A stopped process accepts nothing, so its connections stay in the accept queue.
      process.kill(first.program.pid, 'SIGSTOP')
      process.kill(second.program.pid, 'SIGSTOP')
      expect(await ask('fill', { port: shared.port, most: 40 })).toHaveLength(40)
      await second.program.stop()
      const census = { states: ['ESTABLISHED'], remotePort: shared.port, groupBy: [] }
      const { total } = (await ask('census', census)) as SocketCounts
      if (isKept) expect(total).toBe(40)
      else expect(total).toBeLessThan(40)
      expect(total).toBeGreaterThan(0)
    })
  })
})

async function resetsSent(namespace: Namespace): Promise<number> {
  const [names = [], values = []] = (await namespace.run('cat', '/proc/net/snmp'))
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.split(' '))
  return Number(values[names.indexOf('OutRsts')])
}

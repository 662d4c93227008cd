import type { TcpState } from '../../lib'
import type { SocketCounts, CountSocketsOptions } from '../../lib/ports'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import type { Program } from '../helpers/program'
import { SocketList } from '../helpers/socket-list'
import { extendedCounter } from '../helpers/tcp-table'
import { FILLED_PORT, useTimeWaitFiller } from '../helpers/time-wait-filler'

/** The reasons why the kernel may keep no TIME_WAIT entry for a connection whose two ends were closed. */
const reasons = ['TCPTimeWaitOverflow', 'TCPAbortOnMemory', 'TCPAbortOnClose', 'TCPAbortFailed']

const everyField = ['localAddress', 'localPort', 'remoteAddress', 'remotePort'] as const
const MAPPED = '[::ffff:127.0.0.1]'

/** The lasting states by their names in ss(8), beginning with the one that ends first. */
const states: Partial<Record<TcpState, string>> = {
  TIME_WAIT: 'time-wait',
  ESTABLISHED: 'established',
  SYN_SENT: 'syn-sent',
  SYN_RECV: 'syn-recv',
  FIN_WAIT1: 'fin-wait-1',
  FIN_WAIT2: 'fin-wait-2',
  CLOSE_WAIT: 'close-wait',
  LAST_ACK: 'last-ack',
  LISTEN: 'listening',
}

labDescribe('the count of countSockets()', ['root', 'ip', 'ipv6'], () => {
  // No state that the program holds ends during the test.
  const namespace = useNamespace({
    'net.ipv4.ip_local_port_range': '32768 60999',
    'net.ipv4.tcp_syn_retries': '10',
    'net.ipv4.tcp_synack_retries': '10',
    'net.ipv4.tcp_syn_linear_timeouts': '0',
  })
  const fill = useTimeWaitFiller(namespace)
  let program: Program

  beforeAll(async () => {
    program = (await namespace().start('census')).program
  })

  const take = async (options: CountSocketsOptions): Promise<SocketCounts> =>
    (await program.ask('census', options)) as SocketCounts

  const ofCensus = async (options: CountSocketsOptions): Promise<SocketList> =>
    SocketList.ofCensus(await take({ ...options, groupBy: everyField }))

  const ofSs = async (...filter: string[]): Promise<SocketList> =>
    SocketList.ofSs(await namespace().run('ss', '-Htan', ...filter))

  async function expectEqual(options: CountSocketsOptions, filter: string[]): Promise<number> {
    const shown = await ofSs(...filter)
    const counted = await ofCensus(options)
    expect(counted.sockets).toEqual(shown.sockets)
    return counted.sockets.length
  }

  const lost = async (): Promise<Record<string, number>> => {
    const netstat = await namespace().run('cat', '/proc/net/netstat')
    return Object.fromEntries(reasons.map((name) => [name, extendedCounter(netstat, name)]))
  }

  const timeWait = ['state', 'time-wait']

  it('equals that of ss without entries', async () => {
    expect(await expectEqual({}, timeWait)).toBe(0)
    expect(await take({})).toEqual({ total: 0, groupCount: 0, groups: [], interrupted: false })
  })

  it.each([1, 28_232])('equals that of ss with %i in TIME_WAIT', async (count) => {
    const before = await lost()
    await fill(count)
    // Shows the reason if there are fewer.
    const { total } = await take({ limit: 1 })
    expect({ total, ...(await lost()) }).toEqual({ total: count, ...before })
    expect(await expectEqual({}, timeWait)).toBe(count)
    expect(await program.ask('count')).toBe(count)
    expect(await program.ask('destroy', {})).toBe(count)
  })

  describe('of every lasting state', () => {
    const each = 3
    let ports: number[]
    let holder: Program

    beforeAll(async () => {
      const { program: started, ready } = await namespace().start('socket-states', { each })
      holder = started
      ports = (ready as { ports: number[] }).ports
    })

    afterAll(() => holder.stop())

    it.each(Object.entries(states) as [TcpState, string][])(
      'equals that of ss: %s',
      async (state, name) => {
        const all = await expectEqual({ states: [state] }, ['state', name])
        // At one end, of three kinds of addresses; listening ones, of two.
        expect(all).toBeGreaterThanOrEqual(state === 'LISTEN' ? ports.length : 3 * each)
      },
    )

    it.each(Object.entries(states) as [TcpState, string][])(
      'equals that of ss with filters: %s',
      async (state, name) => {
        const only = ['state', name]
        const [four = 0, six = 0, mapped = 0] = ports
        const own = { states: [state] }
        for (const port of [four, six, mapped, 1]) {
          await expectEqual({ ...own, localPort: port }, [
            ...only,
            'sport',
            '=',
            `:${String(port)}`,
          ])
          await expectEqual({ ...own, remotePort: port }, [
            ...only,
            'dport',
            '=',
            `:${String(port)}`,
          ])
        }
        await expectEqual({ ...own, remoteAddress: '::1' }, [...only, 'dst', '[::1]'])
        await expectEqual({ ...own, localAddress: '::1' }, [...only, 'src', '[::1]'])
        await expectEqual({ ...own, remoteAddress: MAPPED.slice(1, -1) }, [...only, 'dst', MAPPED])
        // Includes the IPv4-mapped ones.
        await expectEqual({ ...own, remoteAddress: '127.0.0.1' }, [...only, 'dst', '127.0.0.1'])
        await expectEqual({ ...own, localAddress: '::1', localPort: six, remoteAddress: '::1' }, [
          ...only,
          ...['src', '[::1]', 'dst', '[::1]', 'sport', '=', `:${String(six)}`],
        ])
      },
    )

    it('equals that of ss for all states together, grouped by state', async () => {
      const wanted = Object.keys(states) as TcpState[]
      const { groups, total } = await take({ states: wanted, groupBy: ['state'] })
      const counts = await Promise.all(
        Object.entries(states).map(async ([state, name]) => ({
          state,
          count: (await ofSs('state', name)).sockets.length,
        })),
      )
      const byName = (a: { state?: string }, b: { state?: string }): number =>
        (a.state ?? '') < (b.state ?? '') ? -1 : 1
      expect(groups.toSorted(byName)).toEqual(counts.toSorted(byName))
      expect(total).toBe(counts.reduce((sum, { count }) => sum + count, 0))
    })
  })

  it('is between the counts of two runs of ss while entries appear', async () => {
    const { ready } = await namespace().start('sink-server', { ports: 8 })
    const { ports } = ready as { ports: number[] }
    // More than the number of sockets that can appear during the count.
    const config = { way: 'connect', ports, count: 200_000, stopAfterMs: 120_000 }
    const { program: client } = await namespace().start('port-client', config)
    const run = client.ask('run')
    for (let look = 0; look < 5; look++) {
      const before = await ofSs(...timeWait)
      const counted = await ofCensus({})
      const after = await ofSs(...timeWait)
      expect(counted.outside(before, after)).toBeLessThanOrEqual(before.differences(after))
    }
    await client.stop()
    await expect(run).rejects.toThrow('SIGKILL')
  })

  it('equals that of ss with 200,000 in TIME_WAIT, except for entries that expire in the meantime', async () => {
    await program.ask('destroy', {})
    await fill(200_000)
    // Some of the connections above may enter TIME_WAIT only now.
    const remotePort = FILLED_PORT
    const filter = [...timeWait, 'dport', '=', `:${String(remotePort)}`]
    const before = await ofSs(...filter)
    const counted = await ofCensus({ remotePort })
    const after = await ofSs(...filter)
    expect(counted.outside(before, after)).toBe(0)
    expect(before.sockets.length).toBeGreaterThanOrEqual(counted.sockets.length)
    const { total, groups } = await take({ remotePort })
    expect(groups).toEqual([{ count: total, remoteAddress: '127.0.0.1', remotePort }])
  })
})

import type { SocketCounts, CountSocketsOptions, SocketFilter } from '../../lib/ports'
import { labDescribe } from '../helpers/lab'
import { Namespace, useNamespace } from '../helpers/namespace'
import { useNativeProgram } from '../helpers/native-program'
import type { Program } from '../helpers/program'
import { useTimeWaitFiller } from '../helpers/time-wait-filler'

const FOUR = '127.0.0.1'
const SIX = '::1'

interface Filled {
  made: number
}

labDescribe('destroyTimeWait()', ['root', 'ip', 'ipv6'], () => {
  const namespace = useNamespace({ 'net.ipv4.ip_local_port_range': '10000 60999' })
  const fillFast = useTimeWaitFiller(namespace)
  const newcomer = useNativeProgram('lab/programs/newcomer.cc')
  let program: Program
  let ports: number[]

  beforeAll(async () => {
    program = (await namespace().start('census')).program
    const { ready } = await namespace().start('sink-server', { host: '::', ports: 2 })
    ports = (ready as { ports: number[] }).ports
  })

  const take = async (options: CountSocketsOptions): Promise<SocketCounts> =>
    (await program.ask('census', options)) as SocketCounts

  const count = async (filter: SocketFilter): Promise<number> => (await take(filter)).total

  const destroy = async (filter: SocketFilter): Promise<number> =>
    (await program.ask('destroy', filter)) as number

  /** Waits until all connections to the servers are in TIME_WAIT. */
  async function allClosed(): Promise<void> {
    for (const remotePort of ports) await namespace().timeWaits({ remotePort })
  }

  async function fill(each: number, host: string): Promise<void> {
    const config = { way: 'connect', host, ports, count: each * ports.length }
    const { made } = (await namespace().perform('port-client', config)) as Filled
    expect(made).toBe(each * ports.length)
    await allClosed()
  }

  afterEach(() => destroy({}))

  it('finds nothing to remove', async () => {
    expect(await destroy({})).toBe(0)
  })

  it('removes only the matching entries of both families', async () => {
    await fill(100, FOUR)
    await fill(50, SIX)
    const [first = 0, second = 0] = ports
    const before = await count({})
    expect(await destroy({ remoteAddress: '192.0.2.1' })).toBe(0)
    expect(await destroy({ remotePort: first, remoteAddress: SIX })).toBe(50)
    expect(await count({})).toBe(before - 50)
    expect(await destroy({ remotePort: first })).toBe(100)
    expect(await count({ remotePort: first })).toBe(0)
    expect(await count({ remotePort: second })).toBe(150)
    expect(await destroy({})).toBe(before - 150)
    expect(await program.ask('count')).toBe(0)
  })

  it('removes the IPv4 connections of IPv6 sockets', async () => {
    await fill(20, `::ffff:${FOUR}`)
    await fill(10, FOUR)
    expect(await destroy({ remoteAddress: `::ffff:${FOUR}` })).toBe(20 * ports.length)
    await fill(20, `::ffff:${FOUR}`)
    expect(await destroy({ remoteAddress: FOUR })).toBe((20 + 10) * ports.length)
  })

  it('does not affect live sockets on the same ports', async () => {
    await fill(20, FOUR)
    const held = { way: 'connect', ports, count: 10, atATime: 2, hold: true }
    const { program: client } = await namespace().start('port-client', held)
    await client.ask('run')
    const states = ['ESTABLISHED', 'LISTEN'] as const
    const live = { states, groupBy: ['state', 'localAddress', 'localPort', 'remotePort'] } as const
    const before = await take(live)
    expect(before.total).toBe(2 * 10 + ports.length)
    expect(await destroy({})).toBe(20 * ports.length)
    expect(await take(live)).toEqual(before)
    await client.stop()
  })

  it.each(['4', '6'])(
    'does not affect a socket that has taken the ports of a listed entry: IPv%s',
    async (family) => {
      // It counts all entries of its namespace, and connections of earlier tests may still end.
      const alone = new Namespace()
      const told = await alone.run(newcomer(), family).finally(() => alone.remove())
      expect(JSON.parse(told)).toEqual({
        listed: 1,
        removed: 1,
        removedNewcomers: 0,
        works: true,
      })
    },
  )

  it('removes more entries than it stores at a time', async () => {
    await fillFast(70_000)
    expect(await destroy({})).toBe(70_000)
    expect(await program.ask('count')).toBe(0)
  })

  it('removes no connection that is made in the meantime', async () => {
    const config = { way: 'connect', ports, count: 20_000, stopAfterMs: 60_000 }
    const { program: client } = await namespace().start('port-client', config)
    const run = client.ask('run') as Promise<Filled & { error?: unknown }>
    const end = run.then(() => true)
    let removed = 0
    while (!(await Promise.race([end, destroy({}).then((number) => (removed += number) < 0)])));
    const { made, error } = await run
    expect({ made, error }).toEqual({ made: 20_000, error: undefined })
    await allClosed()
    removed += await destroy({})
    expect(removed).toBe(20_000)
    await client.stop()
  })
})

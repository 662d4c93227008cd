import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import { extendedCounter } from '../helpers/tcp-table'
import { until } from '../helpers/until'

interface Seen {
  last: { sndMss: number; sndWscale: number; maxSegment: number; synData: boolean }[]
  bytes: number
}

interface Connected {
  synData: boolean
  localAddress: string
  remoteAddress: string
  read: Record<string, unknown>
  events: string[]
  error?: string
}

labDescribe('settings of connect() on the wire', ['root', 'ip'], () => {
  const namespace = useNamespace({ 'net.ipv4.tcp_fastopen': '3' })

  async function connect(
    serverSettings: object,
    ...connections: { write?: string; settings?: object }[]
  ) {
    const { server, port } = await namespace().serve('sink-server', { settings: serverSettings })
    const { program } = await namespace().start('wire-client', { port })
    const results: Connected[] = []
    const expected = connections.reduce((sum, { write = '' }) => sum + write.length, 0)
    for (const options of connections) {
      results.push((await program.ask('connect', options)) as Connected)
    }
    const { last, bytes } = await until(
      'the server has accepted all connections, and read what was written',
      async () => (await server.ask('seen')) as Seen,
      ({ last, bytes }) => last.length === connections.length && bytes >= expected,
    )
    await program.stop()
    await server.stop()
    return { results, last, bytes }
  }

  it('include SO_RCVBUF, which determines the window scale of the SYN', async () => {
    const settings = { SO_RCVBUF: 16_384 }
    const { last } = await connect({}, {}, { settings })
    const [plain, tuned] = last
    expect(plain?.sndWscale).toBeGreaterThan(2)
    expect(tuned?.sndWscale).toBe(0)
  })

  it('include TCP_MAXSEG, which determines the segment size of the SYN', async () => {
    const { last } = await connect({}, {}, { settings: { TCP_MAXSEG: 900 } })
    const [plain, tuned] = last
    expect(plain?.sndMss).toBeGreaterThan(10_000)
    // Without the 12 bytes of the timestamp option.
    expect(tuned).toMatchObject({ sndMss: 888, maxSegment: 888 })
  })

  it('include TCP_FASTOPEN_CONNECT, which sends data in the SYN once the server has sent a cookie', async () => {
    const passive = async (): Promise<number> =>
      extendedCounter(await namespace().run('cat', '/proc/net/netstat'), 'TCPFastOpenPassive')
    const before = await passive()
    const settings = { TCP_FASTOPEN_CONNECT: true }
    const options = { settings, write: 'first words' }
    const { results, last, bytes } = await connect({ TCP_FASTOPEN: 16 }, options, options)
    expect(results.map(({ synData }) => synData)).toEqual([false, true])
    expect(last.map(({ synData }) => synData)).toEqual([false, true])
    expect((await passive()) - before).toBe(1)
    expect(bytes).toBe(2 * 'first words'.length)
  })
})

labDescribe('a host name whose first address is dead', ['root', 'ip', 'nft'], () => {
  const namespace = useNamespace()
  const DEAD = '127.0.0.66'

  beforeAll(async () => {
    // No answer at all, not even a refusal.
    const rules = `table inet socket_tuner { chain input { type filter hook input priority 0; ip daddr ${DEAD} drop; }; }`
    await namespace().run('nft', rules)
  })

  it('is reached at the second address with every setting in force', async () => {
    const { server, port } = await namespace().serve('sink-server')
    const { program } = await namespace().start('wire-client', { port })
    const settings = { SO_RCVBUF: 16_384, TCP_MAXSEG: 900, TCP_KEEPIDLE: 44, TCP_SYNCNT: 3 }
    const result = (await program.ask('connect', {
      host: 'two.addresses.test',
      addresses: [DEAD, '127.0.0.1'],
      localAddress: '127.0.0.9',
      settings,
      read: Object.keys(settings),
    })) as Connected
    expect(result.remoteAddress).toBe('127.0.0.1')
    expect(result.localAddress).toBe('127.0.0.9')
    // The kernel doubles a buffer, and subtracts the timestamps from a segment.
    expect(result.read).toEqual({ ...settings, SO_RCVBUF: 32_768, TCP_MAXSEG: 888 })
    expect(result.events).toEqual([
      `lookup ${DEAD}`,
      'lookup 127.0.0.1',
      `connectionAttempt ${DEAD}`,
      'connectionAttempt 127.0.0.1',
      // It is cancelled only once the second one has connected.
      `connectionAttemptTimeout ${DEAD}`,
      'connect',
    ])
    const { last } = await until(
      'the server has accepted the connection',
      async () => (await server.ask('seen')) as Seen,
      ({ last }) => last.length === 1,
    )
    expect(last).toMatchObject([{ sndMss: 888, sndWscale: 0 }])
    await program.stop()
    await server.stop()
  })

  it('causes no attempt that outlives the connection', async () => {
    const { server, port } = await namespace().serve('sink-server')
    const { program } = await namespace().start('wire-client', { port })
    await program.ask('connect', { host: 'two.test', addresses: [DEAD, '127.0.0.1'] })
    expect(await namespace().states({ remotePort: port })).not.toHaveProperty('SYN_SENT')
    await program.stop()
    await server.stop()
  })
})

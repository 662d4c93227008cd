/** Checks the effect and timing of options in the catalogue, by packets and by the kernel's state. */
import { labDescribe } from '../helpers/lab'
import { LINK, RIGHT, useLinkedNamespaces, type Namespace } from '../helpers/namespace'
import type { Program } from '../helpers/program'
import { extendedCounter } from '../helpers/tcp-table'
import { until } from '../helpers/until'

interface State {
  answered: number
  error?: string
  retransmits?: number
  rtt?: number
  sndMss?: number
  state?: string
}

/** Retransmitted segments prove that the first ones were lost. */
const LOST = 2

labDescribe('an option on a connection', ['root', 'ip', 'nft'], () => {
  const namespaces = useLinkedNamespaces()
  let port = 0
  let client: Program

  beforeAll(async () => {
    ;({ port } = await namespaces().right.serve('counting-echo-server', { host: RIGHT, port: 0 }))
    const { left } = namespaces()
    ;({ program: client } = await left.start('option-client', { host: RIGHT, port }))
  })

  afterEach(async () => {
    for (const namespace of Object.values(namespaces())) await namespace.run('nft', 'flush ruleset')
  })

  async function open(settings: object = {}): Promise<void> {
    await client.ask('open', { settings })
    await exchange(1)
  }

  const set = (settings: object): Promise<unknown> => client.ask('set', settings)
  const state = async (): Promise<State> => (await client.ask('state')) as State

  /** Writes and waits for the answer. */
  async function exchange(bytes: number): Promise<void> {
    const { answered } = await state()
    await client.ask('write', 'x'.repeat(bytes))
    await until('the answer', state, (now) => now.answered === answered + bytes)
  }

  /** Writes and waits until the kernel has retransmitted without success. */
  async function exchangeInVain(): Promise<void> {
    const { answered } = await state()
    await client.ask('write', 'x')
    const { answered: then } = await until(
      'retransmissions',
      state,
      ({ retransmits = 0 }) => retransmits >= LOST,
    )
    expect(then).toBe(answered)
  }

  /** Counts packets that match a rule of nft from now on. */
  async function counting(
    namespace: Namespace,
    hook: 'input' | 'output',
    rule: string,
  ): Promise<() => Promise<number>> {
    const chain = `chain c { type filter hook ${hook} priority 0; ${rule} counter name n; }`
    await namespace.run('nft', `table inet t { counter n { }; ${chain}; }`)
    return async () => {
      const text = await namespace.run('nft', 'list counter inet t n')
      return Number(/packets (\d+)/.exec(text)?.[1])
    }
  }

  const here = (): Namespace => namespaces().left
  const there = (): Namespace => namespaces().right

  it.each([
    ['IP_TOS', { IP_TOS: 0x48 }, 'ip dscp af21'],
    ['IP_TTL', { IP_TTL: 33 }, 'ip ttl 33'],
    ['IP_MTU_DISCOVER', { IP_MTU_DISCOVER: 0 }, 'ip frag-off & 0x4000 == 0'],
  ])(
    'takes effect at once, so that each packet has the value: %s',
    async (_name, settings, match) => {
      await open()
      const packets = await counting(there(), 'input', `tcp dport ${String(port)} ${match}`)
      await exchange(1)
      expect(await packets()).toBe(0)
      expect(Object.values((await set(settings)) as object)).toEqual(['applied'])
      await exchange(1)
      // The segment, and the acknowledgement of its answer.
      await until('both packets', packets, (count) => count >= 2)
    },
  )

  it.each([
    ['SO_MARK', { SO_MARK: 7 }, 'meta mark 7'],
    ['SO_PRIORITY', { SO_PRIORITY: 5 }, 'meta priority 0:5'],
    // It also sets SO_PRIORITY: interactive traffic has 6.
    ['SO_PRIORITY, by IP_TOS', { IP_TOS: 0x10 }, 'meta priority 0:6'],
  ])(
    'takes effect at once, so that each packet has the value on this host: %s',
    async (_name, settings, match) => {
      await open()
      const packets = await counting(here(), 'output', `tcp dport ${String(port)} ${match}`)
      await exchange(1)
      expect(await packets()).toBe(0)
      await set(settings)
      await exchange(1)
      expect(await packets()).toBeGreaterThan(0)
    },
  )

  it('takes effect at once: IP_MINTTL drops packets from farther away', async () => {
    await open()
    expect(await set({ IP_MINTTL: 255 })).toEqual({ IP_MINTTL: 'applied' })
    await exchangeInVain()
    await set({ IP_MINTTL: 0 })
    await until('the answer', state, ({ answered }) => answered === 2)
  })

  it('takes effect at once: with IP_RECVERR an ICMP error ends the connection', async () => {
    const unreachable = `table ip t { chain c { type filter hook input priority 0; tcp dport ${String(port)} reject with icmp type host-unreachable; }; }`
    await open()
    await there().run('nft', unreachable)
    await exchangeInVain()
    expect((await state()).error).toBeUndefined()
    await there().run('nft', 'flush ruleset')
    await until('the answer', state, ({ answered }) => answered === 2)
    await set({ IP_RECVERR: true })
    await there().run('nft', unreachable)
    await client.ask('write', 'x')
    await until('the error', state, ({ error }) => error === 'EHOSTUNREACH')
  })

  it.each([
    ['SO_BINDTODEVICE', { SO_BINDTODEVICE: 'lo' }, { SO_BINDTODEVICE: '' }],
    ['SO_BINDTOIFINDEX', { SO_BINDTOIFINDEX: 1 }, { SO_BINDTOIFINDEX: 0 }],
  ])(
    'takes effect at once, so that no packet uses another interface: %s',
    async (name, lo, any) => {
      await open()
      expect(await set(lo)).toEqual({ [name]: 'applied' })
      await exchangeInVain()
      await set(any)
      await until('the answer', state, ({ answered }) => answered === 2)
    },
  )

  it('has no effect if it is IP_UNICAST_IF, before or after connect(), but has one on datagrams', async () => {
    await open({ IP_UNICAST_IF: 1 })
    expect(await set({ IP_UNICAST_IF: 1 })).toEqual({ IP_UNICAST_IF: 'noEffect' })
    await exchange(1)
    const packets = await counting(there(), 'input', `iifname "${LINK}" udp dport ${String(port)}`)
    await client.ask('datagram', { settings: { IP_UNICAST_IF: 1 } })
    await client.ask('datagram', {})
    await until('a datagram', packets, (count) => count > 0)
    expect(await packets()).toBe(1)
  })

  it('is too late if it is TCP_MAXSEG: the segment size does not change', async () => {
    await open()
    const { sndMss } = await state()
    expect(sndMss).toBeGreaterThan(1200)
    expect(await set({ TCP_MAXSEG: 600 })).toEqual({ TCP_MAXSEG: 'tooLate' })
    await exchange(5000)
    expect((await state()).sndMss).toBe(sndMss)
  })

  it('is not too late if it is TCP_SYNCNT and the socket is connecting', async () => {
    // Otherwise Linux 6.5 and later send more of them within the same time.
    const linear = '/proc/sys/net/ipv4/tcp_syn_linear_timeouts'
    await here().run('sh', '-c', `test ! -e ${linear} || echo 0 > ${linear}`)
    const syns = await counting(here(), 'output', 'tcp dport 9 tcp flags syn')
    await there().run(
      'nft',
      'table ip t { chain c { type filter hook input priority 0; tcp dport 9 drop; }; }',
    )
    await client.ask('begin', { port: 9 })
    await until('the SYN', syns, (count) => count > 0)
    expect(await set({ TCP_SYNCNT: 1 })).toEqual({ TCP_SYNCNT: 'applied' })
    await until('the end', state, ({ error }) => error === 'ETIMEDOUT')
    // One and its retransmission; net.ipv4.tcp_syn_retries is 6.
    expect(await syns()).toBe(2)
  })

  it('takes effect at once: with TCP_MD5SIG the peer drops segments without its key', async () => {
    await open()
    const unexpected = async (): Promise<number> =>
      extendedCounter(await there().run('cat', '/proc/net/netstat'), 'TCPMD5Unexpected')
    const before = await unexpected()
    const key = [107, 101, 121]
    expect(await client.ask('sign', { address: RIGHT, key })).toEqual({ TCP_MD5SIG: 'applied' })
    await exchangeInVain()
    expect(await unexpected()).toBeGreaterThan(before)
  })

  it('delays nothing if it is TCP_TX_DELAY without a pacing queue, and falsifies the round-trip time', async () => {
    const DELAY_US = 60_000_000
    await open()
    expect(await set({ TCP_TX_DELAY: DELAY_US })).toEqual({ TCP_TX_DELAY: 'applied' })
    for (let count = 0; count < 10; count++) await exchange(1)
    const { rtt = 0, retransmits } = await state()
    expect(retransmits).toBe(0)
    expect(rtt).toBeGreaterThan(DELAY_US / 10)
  })
})

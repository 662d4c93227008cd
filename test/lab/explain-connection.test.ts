/** Connections whose limit is known, because the test makes it. */
import type { Explanation, SendingLimit, Settings } from '../../lib'
import { useBadLinks } from '../helpers/bad-link'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import type { Program } from '../helpers/program'
import { useSlowLink, type LinkEnds } from '../helpers/slow-link'
import { until } from '../helpers/until'

/** The length of each period that is explained. */
const PERIOD_MS = 300
const MEGABYTE = 1_000_000
const UNLIMITED = 100 * MEGABYTE

const lossy = `
table inet loss {
  chain input {
    type filter hook input priority 0
    meta l4proto tcp tcp dport DPORT numgen random mod 100 < 4 drop
  }
}
`
const silent = `
table inet silence {
  chain input {
    type filter hook input priority 0
    meta l4proto tcp tcp dport DPORT drop
  }
}
`

interface Ends {
  readonly client: Program
  readonly server: Program
  readonly port: number
}

labDescribe('explainConnection', ['root', 'ip', 'nft', 'cc', 'tun'], () => {
  const namespace = useNamespace()
  const delayed = useSlowLink(namespace, { bytesPerSecond: UNLIMITED, queue: 4000, delayMs: 20 }, 0)
  const narrow = useSlowLink(namespace, { bytesPerSecond: 200_000, queue: 60, delayMs: 1 }, 1)
  const near: LinkEnds = { host: '127.0.0.1', listen: '127.0.0.1' }
  // The helper numbers its networks from 0 as well.
  const reordering = useNamespace()
  const [disorderly] = useBadLinks(reordering, [{ loss: 0, late: 200, double: 100, lateMs: 10 }], 1)

  let ends: Ends | undefined

  afterEach(async () => {
    await Promise.all([ends?.client.stop(), ends?.server.stop()])
    ends = undefined
  })

  async function open(
    link: LinkEnds,
    {
      sender = {},
      receiver = {},
      ...rest
    }: { sender?: Settings; receiver?: Settings; noDelay?: boolean; maxPacingRate?: number } = {},
    at = namespace(),
  ): Promise<Ends> {
    const { server, port } = await at.serve('explained-end', {
      host: link.listen,
      settings: receiver,
    })
    const { program: client } = await at.start('explained-end', {
      host: link.host,
      port,
      settings: sender,
      noDelay: true,
      ...rest,
    })
    ends = { client, server, port }
    await until(
      'the server has accepted',
      () => server.ask('isConnected'),
      (isConnected) => isConnected === true,
    )
    return ends
  }

  /**
   * Explains periods until one has this limit. Before, another one may be the true limit: the network in slow start, the
   * application while its process gets no processor time.
   */
  async function periodOf(program: Program, limit: SendingLimit): Promise<Explanation> {
    return until(
      `a period limited by ${limit}`,
      () => observed(program),
      ({ sending }) => sending.limitedBy === limit,
    )
  }

  async function observed(program: Program): Promise<Explanation> {
    return (await program.ask('observe', PERIOD_MS)) as Explanation
  }

  async function momentOf(
    program: Program,
    what: string,
    isReached: (explained: Explanation) => boolean,
  ): Promise<Explanation> {
    return until(what, async () => (await program.ask('explain')) as Explanation, isReached)
  }

  it("names the peer's window, and the reader, if the peer does not read", async () => {
    const { client, server } = await open(near)
    await client.ask('send')
    const moment = await momentOf(client, 'a closed window', ({ info }) => info.sndWnd === 0)
    expect(moment.sending).toMatchObject({ limitedBy: 'peer-window', isCertain: true })
    const { sending, text } = await periodOf(client, 'peer-window')
    expect(sending).toMatchObject({ now: 'peer-window', peerWindowBytes: 0 })
    expect(sending.unsentBytes).toBeGreaterThan(0)
    expect(text).toContain("limited by the peer's window")
    const { receiving } = await observed(server)
    expect(receiving).toMatchObject({ limitedBy: 'application', isCertain: true })
    expect(receiving.unreadBytes).toBeGreaterThan(0)
  })

  it("names the peer's window if the peer reads into a small buffer", async () => {
    const { client, server } = await open(delayed, { receiver: { SO_RCVBUF: 8192 } })
    await server.ask('read')
    await client.ask('send')
    const { sending } = await until(
      'a period counted by the kernel',
      () => periodOf(client, 'peer-window'),
      ({ sending: { shares } }) => (shares?.peerWindow ?? 0) > 0.5,
    )
    expect(sending.peerWindowBytes).toBeLessThan(20_000)
  })

  it('names the send buffer if it is smaller than the data in flight could be', async () => {
    const { client, server } = await open(delayed, { sender: { SO_SNDBUF: 8192 } })
    await server.ask('read')
    await client.ask('send')
    const { sending } = await until(
      'a period counted by the kernel',
      () => periodOf(client, 'send-buffer'),
      ({ sending: { shares } }) => (shares?.sendBuffer ?? 0) > 0.5,
    )
    expect(sending.unwrittenBytes).toBeGreaterThan(0)
  })

  it('names the network, and its raised round trip, on a link with a low rate', async () => {
    const { client, server } = await open(narrow)
    await server.ask('read')
    await client.ask('send')
    const explained = await until(
      'a raised round trip',
      () => periodOf(client, 'network'),
      ({ network }) => network.symptoms.includes('raised-rtt'),
    )
    const { rttMs = 0, smallestRttMs = 0 } = explained.network
    expect(rttMs).toBeGreaterThan(2 * smallestRttMs)
    expect(explained.text).toContain('limited by the network')
  })

  it('names the network, and its loss, on a link that loses packets', async () => {
    const { client, server, port } = await open(delayed)
    await server.ask('read')
    await withRules(lossy, port, async () => {
      await client.ask('send')
      const { network } = await until(
        'loss',
        () => periodOf(client, 'network'),
        ({ network: { symptoms } }) => symptoms.includes('loss'),
      )
      expect(network.retransmittedSegments).toBeGreaterThan(0)
      expect(network.retransmittedShare).toBeGreaterThan(0)
    })
  })

  it('names the network if the peer does not answer', async () => {
    const { client, server, port } = await open(near)
    await server.ask('read')
    await withRules(silent, port, async () => {
      await client.ask('write', 1000)
      const { sending, network, text } = await momentOf(
        client,
        'a retransmission',
        ({ info }) => info.retransmits > 0,
      )
      expect(sending).toMatchObject({ limitedBy: 'network', isCertain: true })
      expect(network.symptoms).toContain('unanswered')
      expect(text).toContain('the peer does not answer')
    })
  })

  it('reports reordering and segments that arrived twice', async () => {
    const link = { host: disorderly?.host ?? '', listen: disorderly?.listen ?? '' }
    const { client, server } = await open(link, {}, reordering())
    await server.ask('read')
    await client.ask('send')
    await momentOf(
      client,
      'reordering and duplicates',
      ({ network: { symptoms } }) =>
        symptoms.includes('reordering') && symptoms.includes('spurious-retransmits'),
    )
    await momentOf(server, 'arrivals out of order', ({ network: { symptoms } }) =>
      symptoms.includes('out-of-order-arrivals'),
    )
  })

  it('names SO_MAX_PACING_RATE if it is lower than what the link carries', async () => {
    const { client, server } = await open(delayed, { maxPacingRate: MEGABYTE })
    await server.ask('read')
    await client.ask('send')
    const { sending } = await periodOf(client, 'pacing')
    expect(sending.maxPacingRate).toBe(MEGABYTE)
  })

  it("names Nagle's algorithm if it holds back a small segment", async () => {
    const { client, server } = await open(delayed, { noDelay: false })
    await server.ask('read')
    await client.ask('trickle', { bytes: 10, everyMs: 2 })
    const { text } = await momentOf(
      client,
      'a segment that is held back',
      ({ sending }) => sending.limitedBy === 'partial-segment',
    )
    expect(text).toContain('TCP_NODELAY')
  })

  it('names the application if it writes nothing', async () => {
    const { client, server } = await open(near)
    await server.ask('read')
    await client.ask('write', 1000)
    const { sending } = await periodOf(client, 'application')
    expect(sending.isCertain).toBe(true)
    const { receiving } = await observed(server)
    expect(receiving.limitedBy).toBe('peer-or-network')
  })

  it('names the application if it waits for answers over a link with a delay', async () => {
    const { client, server } = await open(delayed)
    await server.ask('echo')
    await client.ask('converse')
    const { sending, network } = await until(
      'a period with data in flight',
      () => periodOf(client, 'application'),
      ({ sending: { shares } }) => (shares?.underway ?? 0) > 0.5,
    )
    expect(sending.now).toBe('application')
    expect(network.smallestRttMs).toBeGreaterThanOrEqual(40)
  })

  async function withRules(rules: string, port: number, use: () => Promise<void>): Promise<void> {
    await namespace().run('nft', rules.replace('DPORT', String(port)))
    try {
      await use()
    } finally {
      await namespace().run('nft', 'flush', 'ruleset')
    }
  }
})

import { once } from 'node:events'
import * as tls from 'node:tls'
import { explainConnection, queueSizes, setOption, tcpInfo, type Explanation } from '../../lib'
import { native } from '../../lib/kernel/binding'
import { explanationText } from '../../lib/observe/explanation-text'
import {
  periodLimit,
  presentLimit,
  sendingShares,
  type SendingFigures,
} from '../../lib/observe/sending-limit'
import type { TcpInfo } from '../../lib/observe/tcp-info'
import { boundDatagramSocket, unixPair } from '../options/targets'
import { connectedPair, failureOf, listeningSocket, tcpSocket, until } from '../sockets'

describe('explainConnection', () => {
  it('names the application of an idle connection', async () => {
    const { client } = await connectedPair()
    const { sending, receiving, network, info, text, periodMs } = explainConnection(client)
    expect(sending).toMatchObject({
      limitedBy: 'application',
      isCertain: true,
      now: 'application',
      shares: undefined,
      inFlightBytes: 0,
      unsentBytes: 0,
      unwrittenBytes: 0,
    })
    expect(receiving).toMatchObject({ limitedBy: 'peer-or-network', unreadBytes: 0 })
    expect(network).toMatchObject({ symptoms: [], retransmittedSegments: 0 })
    expect(Object.keys(info)).toEqual(Object.keys(tcpInfo(client)))
    expect(periodMs).toBeUndefined()
    expect(text).toBe(
      'Sending is limited by the application: the peer has acknowledged everything that was written.',
    )
  })

  it("names the peer's window and the reader if the peer does not read", async () => {
    const { client, accepted } = await connectedPair()
    const since = explainConnection(client)
    client.write(Buffer.alloc(16 << 20))
    await until(() => tcpInfo(client).sndWnd === 0)
    const { sending, text } = explainConnection(client)
    expect(sending).toMatchObject({ limitedBy: 'peer-window', isCertain: true, peerWindowBytes: 0 })
    expect(sending.unwrittenBytes).toBe(client.writableLength)
    expect(text).toContain("limited by the peer's window")
    await until(() => {
      const explained = explainConnection(client, { since })
      return explained.sending.limitedBy === 'peer-window' && explained.sending.isCertain
    })
    const before = explainConnection(accepted)
    const { receiving, text: atReceiver } = explainConnection(accepted, { since: before })
    expect(receiving).toMatchObject({ limitedBy: 'application', isCertain: true })
    expect(receiving.unreadBytes).toBe(queueSizes(accepted).unread)
    expect(atReceiver).toContain(`${String(receiving.unreadBytes)} bytes unread`)
  })

  it('names TCP_CORK if it holds back a segment', async () => {
    const { client } = await connectedPair()
    // The kernel sends corked data after 200 ms (tcp(7)), which may be over if this process is stalled.
    await until(() => {
      setOption(client, 'TCP_CORK', true)
      client.write('corked')
      const { limitedBy } = explainConnection(client).sending
      setOption(client, 'TCP_CORK', false)
      return limitedBy === 'partial-segment'
    })
  })

  it('counts what waits in the stream of Node', async () => {
    const { client } = await connectedPair()
    client.cork()
    client.write('123456')
    const { sending, text } = explainConnection(client)
    expect(sending).toMatchObject({
      limitedBy: 'application',
      isCertain: false,
      unwrittenBytes: 6,
    })
    expect(text).toContain('6 bytes are corked, or wait for the event loop')
  })

  it('names the reader of a stream that holds data', async () => {
    const { client, accepted } = await connectedPair()
    accepted.once('readable', () => undefined)
    client.write('123456')
    await until(() => accepted.readableLength === 6)
    const { receiving, text } = explainConnection(accepted)
    expect(receiving).toMatchObject({ limitedBy: 'application', unconsumedBytes: 6 })
    expect(text).toContain('6 bytes in its stream')
  })

  it('reports that a direction has ended', async () => {
    const { client, accepted } = await connectedPair()
    accepted.allowHalfOpen = true
    accepted.resume()
    client.end()
    await once(accepted, 'end')
    expect(explainConnection(accepted).receiving.limitedBy).toBe('nothing')
    await until(() => tcpInfo(client).state === 'FIN_WAIT2')
    const { sending, receiving, text } = explainConnection(client)
    expect([sending.limitedBy, receiving.limitedBy]).toEqual(['nothing', 'peer-or-network'])
    expect(text).toBe('Nothing is sent in state FIN_WAIT2.')
  })

  it('reports that a socket is not connected', () => {
    for (const fd of [tcpSocket(), listeningSocket()]) {
      const { sending, receiving } = explainConnection(fd)
      expect([sending.limitedBy, receiving.limitedBy]).toEqual(['nothing', 'nothing'])
      expect(sending).toMatchObject({ isCertain: true, unwrittenBytes: undefined })
    }
  })

  it('can be compared with one that was sent as JSON', async () => {
    const { client } = await connectedPair()
    const since = JSON.parse(JSON.stringify(explainConnection(client))) as Explanation
    const { periodMs = -1, sending } = explainConnection(client, { since })
    expect(periodMs).toBeGreaterThanOrEqual(0)
    expect(sending.limitedBy).toBe('application')
  })

  it('refuses targets as tcpInfo does', async () => {
    const { client } = await unixPair()
    const datagram = await boundDatagramSocket()
    const { client: destroyed } = await connectedPair()
    destroyed.destroy()
    const targets = [client, datagram, destroyed, new tls.TLSSocket(destroyed), -1, 1.5, null, {}]
    for (const target of targets) {
      const { code, message } = failureOf(() => tcpInfo(target as never))
      expect(failureOf(() => explainConnection(target as never))).toMatchObject({ code, message })
    }
  })

  it('refuses unknown options, and anything but an earlier explanation of the connection', async () => {
    const { client, accepted } = await connectedPair()
    expect(failureOf(() => explainConnection(client, { sinse: 1 } as never)).code).toBe(
      'ERR_SOCKET_TUNER_UNKNOWN_OPTION',
    )
    for (const since of [1, null, {}, [], tcpInfo(client)]) {
      expect(failureOf(() => explainConnection(client, { since } as never)).code).toBe(
        'ERR_INVALID_ARG_TYPE',
      )
    }
    const of = (target: typeof client): Explanation => explainConnection(target)
    const later = { ...of(client), takenAtMs: of(client).takenAtMs + 3_600_000 }
    client.write('12345')
    await once(accepted.resume(), 'data')
    await until(() => queueSizes(client).unacknowledged === 0)
    const withoutCounters = { ...of(client), info: {} as TcpInfo }
    for (const since of [later, of(accepted), withoutCounters]) {
      const error = failureOf(() => explainConnection(client, { since }))
      expect(error.code).toBe('ERR_INVALID_ARG_VALUE')
      expect(error.message).toContain('must be an earlier explanation of the same connection')
    }
  })
})

describe('explainConnection on a kernel with a shorter struct', () => {
  it.each([104, 148, 152, 160, 192, 232, 248])('claims no more than %i bytes show', (length) => {
    const real = native.tcpInfo.bind(native)
    const spy = jest.spyOn(native, 'tcpInfo').mockImplementation((target, out) => {
      real(target, out)
      out.fill(0xff, length)
      out[0] = 1
      return length
    })
    try {
      const { sending, text, network } = explainConnection(tcpSocket())
      expect(sending.limitedBy).toBe(length < 148 ? 'unknown' : 'application')
      expect(sending.peerWindowBytes === undefined).toBe(length < 232)
      expect(network.timeouts === undefined).toBe(length < 242)
      expect(text).not.toContain('undefined')
    } finally {
      spy.mockRestore()
    }
  })
})

const open = {
  state: 'ESTABLISHED',
  caState: 'open',
  retransmits: 0,
  probes: 0,
  unacked: 10,
  sacked: 0,
  lost: 0,
  retrans: 0,
  sndMss: 1000,
  sndCwnd: 20,
  sndWnd: 100_000,
  deliveryRateAppLimited: false,
} as TcpInfo

const filled: SendingFigures = {
  shares: undefined,
  inFlightBytes: 10_000,
  unsentBytes: 50_000,
  unwrittenBytes: 5,
  peerWindowBytes: 100_000,
  congestionWindowBytes: 20_000,
  sendBufferBytes: 100_000,
  sendBufferUsedBytes: 90_000,
  deliveryRate: 1_000_000,
  maxPacingRate: Infinity,
}
const drained = { ...filled, unsentBytes: 0 }

describe('the limit of a moment', () => {
  it.each<[string, Partial<TcpInfo>, Partial<SendingFigures>, string, boolean]>([
    ['a closed window', { sndWnd: 0 }, {}, 'peer-window', true],
    ['a full window', {}, { peerWindowBytes: 10_500 }, 'peer-window', true],
    ['a full window and lost segments', { lost: 1 }, { peerWindowBytes: 10_500 }, 'network', false],
    [
      'probes of an old kernel',
      { probes: 1 },
      { peerWindowBytes: undefined },
      'peer-window',
      false,
    ],
    ['an old kernel', {}, { peerWindowBytes: undefined }, 'unknown', false],
    ['a full congestion window', { unacked: 20 }, {}, 'network', true],
    ['a retransmission timeout', { retransmits: 2 }, {}, 'network', true],
    ['recovery', { caState: 'recovery' }, {}, 'network', true],
    ['pacing', {}, { maxPacingRate: 1_000_000 }, 'pacing', true],
    ['a part of a segment', {}, { unsentBytes: 10 }, 'partial-segment', false],
    ['a queue of the device', {}, {}, 'network', false],
    ['a handshake', { state: 'SYN_SENT' }, {}, 'unknown', false],
    ['a full buffer', {}, drained, 'send-buffer', true],
    ['a buffer with room', {}, { ...drained, sendBufferUsedBytes: 10 }, 'send-buffer', false],
    [
      'a full buffer of a descriptor',
      {},
      { ...drained, unwrittenBytes: undefined },
      'send-buffer',
      false,
    ],
    ['an application that wrote all', {}, { ...drained, unwrittenBytes: 0 }, 'application', true],
    ['an end', { state: 'FIN_WAIT1' }, { ...drained, unwrittenBytes: 0 }, 'nothing', true],
    ['lost last data', { lost: 1 }, { ...drained, unwrittenBytes: 0 }, 'network', true],
  ])('follows from %s', (_, info, figures, limit, isCertain) => {
    const found = presentLimit({ ...open, ...info }, { ...filled, ...figures })
    expect(found).toEqual({ limit, isCertain })
  })
})

describe('the limit of a period', () => {
  const present = { limit: 'network', isCertain: true } as const
  const shares = { peerWindow: 0, sendBuffer: 0, underway: 0, idle: 0 }

  it('is the one with the largest share', () => {
    const limitOf = (parts: object, of = present as ReturnType<typeof presentLimit>): unknown =>
      periodLimit(open, { ...shares, ...parts }, 1000, of, 'peer-window')
    expect(limitOf({ peerWindow: 0.6, underway: 0.4 })).toEqual({
      limit: 'peer-window',
      isCertain: true,
    })
    expect(limitOf({ sendBuffer: 0.6, underway: 0.4 })).toEqual({
      limit: 'send-buffer',
      isCertain: false,
    })
    expect(limitOf({ underway: 1 })).toEqual({ limit: 'network', isCertain: true })
    expect(limitOf({ idle: 1 }, { limit: 'application', isCertain: true })).toEqual({
      limit: 'application',
      isCertain: true,
    })
  })

  it('is that of the moment if the period is shorter than the ticks of the kernel can show', () => {
    expect(periodLimit(open, { ...shares, idle: 1 }, 10, present, 'application')).toBe(present)
  })

  it('has shares that add up to 1', () => {
    const info = { ...open, busyTime: 900_000, rwndLimited: 300_000, sndbufLimited: 100_000 }
    const before = { ...open, busyTime: 100_000, rwndLimited: 100_000, sndbufLimited: 0 }
    expect(sendingShares(info, before, 1000)).toEqual({
      peerWindow: 0.2,
      sendBuffer: 0.1,
      underway: 0.5,
      idle: 0.2,
    })
    expect(sendingShares(info, undefined, undefined)?.idle).toBeUndefined()
    expect(sendingShares(open, undefined, undefined)).toBeUndefined()
  })
})

describe('the text', () => {
  it('names each symptom of the network with its figure', async () => {
    const { client } = await connectedPair()
    const explained = explainConnection(client)
    const text = explanationText({
      ...explained,
      info: { ...explained.info, retransmits: 1 },
      network: {
        symptoms: [
          'unanswered',
          'loss',
          'timeouts',
          'spurious-retransmits',
          'reordering',
          'out-of-order-arrivals',
          'congestion-marks',
          'raised-rtt',
        ],
        rttMs: 120.4,
        smallestRttMs: 1.234,
        retransmittedSegments: 9,
        retransmittedShare: 0.1,
        duplicates: 1,
        timeouts: 2,
        reorderings: 3,
        outOfOrderArrivals: 4,
        congestionMarks: 5,
      },
    })
    expect(text).toContain(
      'Network: no answer after 1 retransmission; 9 segments sent again; 2 timeouts; 1 segment received twice by the peer; 3 reorderings; 4 segments received out of order; 5 congestion marks; a round trip of 120 ms, at its smallest 1.23 ms.',
    )
  })
})

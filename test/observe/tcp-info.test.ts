import { once } from 'node:events'
import * as net from 'node:net'
import { release } from 'node:os'
import { getOption, setOption, tcpInfo, type TcpInfo } from '../../lib'
import { native } from '../../lib/kernel/binding'
import { connectionState } from '../../lib/observe/tcp-info'
import { unixPair, boundDatagramSocket } from '../options/targets'
import {
  boundSocket,
  closedDescriptor,
  connectedPair,
  destroyLater,
  failureOf,
  listen,
  listeningSocket,
  loopback,
  succeed,
  tcpSocket,
  unixSocket,
  until,
} from '../sockets'

/** The length that struct tcp_info (linux/tcp.h) needs to have each field. */
const endOf: Record<keyof TcpInfo, number> = {
  state: 1,
  caState: 2,
  retransmits: 3,
  probes: 4,
  backoff: 5,
  options: 6,
  sndWscale: 7,
  rcvWscale: 7,
  deliveryRateAppLimited: 8,
  fastopenClientFail: 8,
  rto: 12,
  ato: 16,
  sndMss: 20,
  rcvMss: 24,
  unacked: 28,
  sacked: 32,
  lost: 36,
  retrans: 40,
  fackets: 44,
  lastDataSent: 48,
  lastAckSent: 52,
  lastDataRecv: 56,
  lastAckRecv: 60,
  pmtu: 64,
  rcvSsthresh: 68,
  rtt: 72,
  rttvar: 76,
  sndSsthresh: 80,
  sndCwnd: 84,
  advmss: 88,
  reordering: 92,
  rcvRtt: 96,
  rcvSpace: 100,
  totalRetrans: 104,
  pacingRate: 112,
  maxPacingRate: 120,
  bytesAcked: 128,
  bytesReceived: 136,
  segsOut: 140,
  segsIn: 144,
  notsentBytes: 148,
  minRtt: 152,
  dataSegsIn: 156,
  dataSegsOut: 160,
  deliveryRate: 168,
  busyTime: 176,
  rwndLimited: 184,
  sndbufLimited: 192,
  delivered: 196,
  deliveredCe: 200,
  bytesSent: 208,
  bytesRetrans: 216,
  dsackDups: 220,
  reordSeen: 224,
  rcvOoopack: 228,
  sndWnd: 232,
  rcvWnd: 236,
  rehash: 240,
  totalRto: 242,
  totalRtoRecoveries: 244,
  totalRtoTime: 248,
  receivedCe: 252,
  deliveredE1Bytes: 256,
  deliveredE0Bytes: 260,
  deliveredCeBytes: 264,
  receivedE1Bytes: 268,
  receivedE0Bytes: 272,
  receivedCeBytes: 276,
  accecnWord: 280,
}
const fields = Object.keys(endOf) as (keyof TcpInfo)[]

/** The length of the struct in the running kernel. */
function kernelLength(): number {
  return succeed(native.tcpInfo(tcpSocket(), new Uint8Array(1024)))
}

describe('tcpInfo', () => {
  it('returns exactly the fields that the kernel provides', () => {
    const length = kernelLength()
    const info = tcpInfo(tcpSocket())
    expect(Object.keys(info)).toEqual(fields)
    for (const field of fields) {
      expect([field, info[field] !== undefined]).toEqual([field, endOf[field] <= length])
    }
  })

  it('returns every field on a recent kernel', () => {
    const [major = 0, minor = 0] = release().split('.').map(Number)
    const least = major > 6 || (major === 6 && minor >= 7) ? 248 : major >= 5 ? 232 : 104
    expect(kernelLength()).toBeGreaterThanOrEqual(least)
  })

  it('reports the states of a socket', async () => {
    const { client, accepted, server } = await connectedPair()
    expect(tcpInfo(tcpSocket()).state).toBe('CLOSE')
    expect(tcpInfo(boundSocket()).state).toBe('CLOSE')
    expect(tcpInfo(listeningSocket()).state).toBe('LISTEN')
    expect(tcpInfo(server).state).toBe('LISTEN')
    expect([tcpInfo(client).state, tcpInfo(accepted).state]).toEqual(['ESTABLISHED', 'ESTABLISHED'])
    accepted.resume()
    accepted.on('end', () => accepted.destroy())
    const halfClosed = new net.Socket({ allowHalfOpen: true })
    destroyLater(halfClosed)
    const connection = once(server, 'connection') as Promise<[net.Socket]>
    halfClosed.connect((server.address() as net.AddressInfo).port, loopback[4])
    const [other] = await connection
    destroyLater(other)
    await new Promise<void>((resolve) => {
      halfClosed.end(resolve)
    })
    other.allowHalfOpen = true
    other.resume()
    await once(other, 'end')
    expect(tcpInfo(other).state).toBe('CLOSE_WAIT')
    await until(() => tcpInfo(halfClosed).state !== 'FIN_WAIT1')
    expect(tcpInfo(halfClosed).state).toBe('FIN_WAIT2')
  })

  it('counts the bytes of the connection', async () => {
    const { client, accepted } = await connectedPair()
    const received = once(accepted, 'data')
    accepted.resume()
    client.write(Buffer.alloc(1000))
    expect((await received)[0]).toHaveLength(1000)
    expect(tcpInfo(accepted)).toMatchObject({ bytesReceived: 1000, dataSegsIn: 1, bytesSent: 0 })
    accepted.write('answer')
    await once(client, 'data')
    // The answer carried the acknowledgement. A client counts one more byte for its SYN.
    expect(tcpInfo(client)).toMatchObject({
      bytesAcked: 1001,
      bytesSent: 1000,
      bytesReceived: 6,
      dataSegsOut: 1,
      notsentBytes: 0,
      bytesRetrans: 0,
      totalRetrans: 0,
      caState: 'open',
    })
  })

  it('agrees with the options of the socket', async () => {
    const { client } = await connectedPair()
    setOption(client, 'SO_MAX_PACING_RATE', 12_345_678n)
    const info = tcpInfo(client)
    expect(info.maxPacingRate).toBe(12_345_678)
    expect(info.sndMss).toBe(getOption(client, 'TCP_MAXSEG'))
    expect(info.pmtu).toBe(getOption(client, 'IP_MTU'))
    setOption(client, 'SO_MAX_PACING_RATE', 2n ** 64n - 1n)
    expect(tcpInfo(client).maxPacingRate).toBe(Infinity)
    setOption(client, 'SO_MAX_PACING_RATE', 2n ** 32n + 7n)
    expect(tcpInfo(client).maxPacingRate).toBe(2 ** 32 + 7)
  })

  it('reports the negotiated TCP options', async () => {
    const { client, accepted } = await connectedPair()
    const info = tcpInfo(client)
    const peer = tcpInfo(accepted)
    expect(info.options).toEqual(peer.options)
    for (const value of Object.values(info.options)) expect(typeof value).toBe('boolean')
    expect(info.options).toMatchObject({ synData: false, ecnSeen: false })
    // Each end sends with the scale that the other one announced.
    expect([info.sndWscale, info.rcvWscale]).toEqual([peer.rcvWscale, peer.sndWscale])
    expect([info.sndWnd !== 0, info.rtt !== 0]).toEqual([true, true])
  })

  it('reports a smaller window scale if a small receive buffer was set before connect()', async () => {
    const server = net.createServer()
    const port = await listen(server)
    const fd = tcpSocket()
    setOption(fd, 'SO_RCVBUF', 4096)
    const socket = new net.Socket({ fd: succeed(native.duplicateFd(fd)) })
    destroyLater(socket)
    socket.connect(port, loopback[4])
    await once(socket, 'connect')
    const { rcvWscale, sndWscale = 0 } = tcpInfo(socket)
    expect(rcvWscale).toBe(0)
    expect(sndWscale).toBeGreaterThan(0)
  })

  it('reports the accept queue of a listening socket as unacked, and its limit as sacked', async () => {
    const fd = listeningSocket()
    const port = native.localPort(fd)
    expect(tcpInfo(fd)).toMatchObject({ state: 'LISTEN', unacked: 0, sacked: 16 })
    for (let queued = 1; queued <= 3; queued++) {
      const client = net.connect(port, loopback[4])
      destroyLater(client)
      await once(client, 'connect')
      expect(tcpInfo(fd)).toMatchObject({ unacked: queued, sacked: 16 })
    }
  })

  it('returns a new object at each call', async () => {
    const { client } = await connectedPair()
    const info = tcpInfo(client)
    const { sndMss, state } = info
    const other = tcpInfo(tcpSocket())
    expect([info.sndMss, info.state]).toEqual([sndMss, state])
    expect(other.state).toBe('CLOSE')
    expect(other.bytesAcked).not.toBe(info.bytesAcked)
  })
})

describe('tcpInfo on a kernel with a shorter struct', () => {
  /** Calls tcpInfo() as if the kernel wrote `length` bytes only. The rest of the buffer keeps old bytes. */
  function shortened(length: number): TcpInfo {
    const fd = tcpSocket()
    const real = native.tcpInfo.bind(native)
    const spy = jest.spyOn(native, 'tcpInfo').mockImplementation((target, out) => {
      real(target, out)
      out.fill(0xff, length)
      return length
    })
    try {
      return tcpInfo(fd)
    } finally {
      spy.mockRestore()
    }
  }

  it.each([104, 160, 192, 232, 240, 248])('omits the fields beyond %i bytes', (length) => {
    const info = shortened(length)
    for (const field of fields) {
      expect([field, info[field] !== undefined]).toEqual([field, endOf[field] <= length])
    }
  })

  it('omits a field that is only partly present', () => {
    for (let length = 8; length <= 280; length++) {
      const info = shortened(length)
      for (const field of fields) {
        if ((info[field] !== undefined) !== endOf[field] <= length) {
          throw new Error(`${field} at ${String(length)} bytes`)
        }
      }
    }
  })

  it('relies on a kernel that fills a short buffer, and writes nothing beyond the struct', async () => {
    const { client } = await connectedPair()
    const fd = (client as unknown as { _handle: { fd: number } })._handle.fd
    const whole = new Uint8Array(512).fill(0xaa)
    const length = native.tcpInfo(fd, whole)
    expect(length).toBeLessThan(512)
    expect(whole.subarray(length).every((byte) => byte === 0xaa)).toBe(true)
    const part = new Uint8Array(104)
    expect(native.tcpInfo(fd, part)).toBe(104)
    expect(part[0]).toBe(whole[0])
    expect(native.tcpInfo(fd, new Uint8Array(0))).toBe(0)
  })
})

describe('connectionState', () => {
  it('reports the state that a close depends on', async () => {
    const { client, accepted } = await connectedPair()
    const received = once(accepted, 'data')
    accepted.resume()
    client.write('12345')
    await received
    const { fd } = (accepted as unknown as { _handle: { fd: number } })._handle
    expect(connectionState(fd)).toMatchObject({
      state: 'ESTABLISHED',
      timestamps: tcpInfo(accepted).options.timestamps,
      bytesReceived: 5,
    })
  })

  it('returns undefined fields for a socket that is not TCP', () => {
    for (const fd of [unixSocket(), closedDescriptor()]) {
      expect(connectionState(fd)).toMatchObject({
        state: undefined,
        timestamps: false,
        bytesReceived: undefined,
      })
    }
  })
})

describe('tcpInfo', () => {
  const refused = {
    code: 'ERR_SOCKET_TUNER_WRONG_SOCKET',
    option: 'TCP_INFO',
    level: 'IPPROTO_TCP',
  }

  it('refuses a UDP socket', async () => {
    const socket = await boundDatagramSocket()
    const error = failureOf(() => tcpInfo(socket))
    expect(error).toMatchObject({ ...refused, syscall: 'getsockopt' })
    expect(error.message).toContain('an IPv4 UDP socket')
  })

  it('refuses a unix-domain socket', async () => {
    const { client } = await unixPair()
    const error = failureOf(() => tcpInfo(client))
    expect(error).toMatchObject(refused)
    expect(error.message).toContain('a unix-domain socket')
  })
})

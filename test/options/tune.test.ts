import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import * as net from 'node:net'
import { constants } from 'node:os'
import { inspect } from 'node:util'
import {
  RawSocket,
  SocketOptionError,
  connect,
  getOption,
  profiles,
  setOption,
  tcpInfo,
  tune,
  type Settings,
} from '../../lib'
import type * as Library from '../../lib'
import { native } from '../../lib/kernel/binding'
import {
  boundSocket,
  connectedPair,
  destroyLater,
  failureOf,
  handOver,
  isPrivileged,
  listen,
  listeningSocket,
  loopback,
  nativeCallsOf,
  tcpSocket,
  udpSocket,
  unixSocket,
  unprivileged,
  warningsOf,
} from '../sockets'
import { read } from './rows'

/** Beyond the limit of any process. */
const MISSING_FD = 2 ** 31 - 1

const NO_ALGORITHM = { TCP_CONGESTION: 'no_such_algo' } as const

/** Calls tune() with settings that the compiler would refuse. */
function tuneAny(fd: number, settings: unknown): Record<string, { status: string }> {
  return tune(fd, settings as Settings)
}

describe('tune', () => {
  it('sets every option and reports the values that were read back', () => {
    const fd = tcpSocket()
    const report = tune(fd, { TCP_NODELAY: true, TCP_KEEPIDLE: 30, TCP_CONGESTION: 'reno' })
    expect(report).toEqual({
      TCP_NODELAY: { status: 'applied', value: true },
      TCP_KEEPIDLE: { status: 'applied', value: 30 },
      TCP_CONGESTION: { status: 'applied', value: 'reno' },
    })
    expect(getOption(fd, 'TCP_NODELAY')).toBe(true)
    expect(getOption(fd, 'TCP_KEEPIDLE')).toBe(30)
    expect(getOption(fd, 'TCP_CONGESTION')).toBe('reno')
  })

  it("reports the kernel's value, not the requested one", () => {
    const fd = tcpSocket()
    const { TCP_DEFER_ACCEPT, SO_RCVBUF, TCP_LINGER2 } = tune(fd, {
      TCP_DEFER_ACCEPT: 5,
      SO_RCVBUF: 50_000,
      TCP_LINGER2: 500,
    })
    expect(TCP_DEFER_ACCEPT).toMatchObject({ status: 'adjusted', requested: 5, value: 7 })
    expect(SO_RCVBUF).toMatchObject({ status: 'adjusted', requested: 50_000, value: 100_000 })
    expect(TCP_LINGER2).toEqual({
      status: 'adjusted',
      requested: 500,
      value: 120,
      why: expect.stringContaining('Capped at 120') as string,
    })
  })

  it('accepts every kind of value', () => {
    const settings = {
      SO_LINGER: { enabled: true, seconds: 0 },
      SO_RCVTIMEO: 5000,
      SO_MAX_PACING_RATE: 1_000_000n,
      SO_TXTIME: { clockId: 1, flags: 0 },
      TCP_NOTSENT_LOWAT: 0xffff_ffff,
      IP_LOCAL_PORT_RANGE: { min: 40_000, max: 50_000 },
      IP_UNICAST_IF: 1,
      IP_OPTIONS: new Uint8Array([1, 1, 1, 0]),
      SO_KEEPALIVE: true,
    } as const
    const fd = tcpSocket()
    const foreign = new Set(['IP_UNICAST_IF', 'SO_TXTIME'])
    const report = tune(fd, settings)
    for (const [name, value] of Object.entries(settings)) {
      expect([name, report[name as keyof typeof settings]]).toMatchObject([
        name,
        { status: foreign.has(name) ? 'noEffect' : 'applied', value },
      ])
      expect([name, read(fd, name)]).toEqual([name, value])
    }
  })

  it('applies settings in the order in which they are written', () => {
    const last = { SO_PRIORITY: 3, IP_TOS: 0x10 } as const
    const fd = tcpSocket()
    tune(fd, { IP_TOS: 0x10, SO_PRIORITY: 3 })
    expect(getOption(fd, 'SO_PRIORITY')).toBe(3)
    const other = tcpSocket()
    const report = tune(other, last)
    expect(getOption(other, 'SO_PRIORITY')).not.toBe(3)
    // The report has the values that are in force after all settings.
    expect(report.SO_PRIORITY).toMatchObject({ status: 'adjusted', requested: 3 })
    expect(Object.keys(report)).toEqual(['SO_PRIORITY', 'IP_TOS'])
  })

  it('ignores settings that are undefined', () => {
    const fd = tcpSocket()
    expect(tune(fd, { TCP_NODELAY: undefined, TCP_CORK: true })).toEqual({
      TCP_CORK: { status: 'applied', value: true },
    })
    expect(tune(fd, { TCP_NODELAY: undefined })).toEqual({})
    expect(tune(fd, {})).toEqual({})
    expect(getOption(fd, 'TCP_NODELAY')).toBe(false)
  })

  it.each<[string, Settings]>([
    ['no settings', {}],
    ['undefined settings only', { SO_KEEPALIVE: undefined }],
  ])('refuses a descriptor that is not a socket even with %s', (_, settings) => {
    expect(failureOf(() => tuneAny(MISSING_FD, settings))).toMatchObject({ code: 'EBADF' })
    const file = openSync(__filename, 'r')
    try {
      expect(failureOf(() => tuneAny(file, settings))).toMatchObject({ code: 'ENOTSOCK' })
    } finally {
      closeSync(file)
    }
  })

  it('makes one native call if the state of the socket does not matter', () => {
    const fd = tcpSocket()
    expect(nativeCallsOf(() => tune(fd, profiles.deadPeerDetection))).toEqual(['applyBatch'])
  })

  it('accepts more settings than the initial size of the batch', () => {
    const fd = tcpSocket()
    const settings = {
      ...profiles.deadPeerDetection,
      ...profiles.lowLatency,
      ...profiles.bulkTransfer,
      SO_BUF_LOCK: 1,
      SO_SNDBUF: 20_000,
      SO_RCVBUF: 20_000,
      SO_OOBINLINE: true,
      SO_BROADCAST: true,
      SO_DONTROUTE: false,
      SO_RCVLOWAT: 2,
      SO_REUSEADDR: true,
      SO_REUSEPORT: true,
      SO_TIMESTAMP: false,
      SO_TIMESTAMPNS: false,
      SO_RXQ_OVFL: true,
      SO_ZEROCOPY: true,
      TCP_CORK: false,
      TCP_SYNCNT: 3,
      TCP_LINGER2: 10,
      TCP_DEFER_ACCEPT: 7,
      TCP_WINDOW_CLAMP: 65_536,
      TCP_MAXSEG: 1200,
      IP_TTL: 33,
      IP_MINTTL: 0,
      IP_MTU_DISCOVER: 2,
      IP_PKTINFO: true,
      IP_RECVERR: true,
      IP_RECVOPTS: true,
      IP_RECVTOS: true,
      IP_RECVTTL: true,
      IP_RETOPTS: true,
      IP_FREEBIND: true,
    } as const
    const report = tune(fd, settings)
    expect(Object.keys(settings).length).toBeGreaterThan(32)
    expect(Object.keys(report)).toEqual(Object.keys(settings))
    for (const name of Object.keys(settings)) {
      expect([name, (report as Record<string, unknown>)[name]]).toMatchObject([
        name,
        { value: read(fd, name) },
      ])
    }
  })

  it.each(Object.entries(profiles))('applies the profile %s as written', (_name, settings) => {
    const fd = tcpSocket()
    const report = tuneAny(fd, settings)
    expect(report).toEqual(
      Object.fromEntries(
        Object.entries<unknown>(settings).map(([name, value]) => [
          name,
          { status: 'applied', value },
        ]),
      ),
    )
  })
})

describe('tune with an invalid last setting', () => {
  it.each([
    ['a value of the wrong type', { TCP_KEEPIDLE: '30' }, 'ERR_INVALID_ARG_TYPE'],
    ['null', { TCP_KEEPIDLE: null }, 'ERR_INVALID_ARG_TYPE'],
    ['a value out of range', { TCP_KEEPIDLE: 32_768 }, 'ERR_OUT_OF_RANGE'],
    ['a fraction', { TCP_KEEPIDLE: 1.5 }, 'ERR_OUT_OF_RANGE'],
    ['NaN', { TCP_KEEPIDLE: NaN }, 'ERR_OUT_OF_RANGE'],
    ['2 ** 32 + 30', { TCP_KEEPIDLE: 2 ** 32 + 30 }, 'ERR_OUT_OF_RANGE'],
    ['an unknown name', { TCP_KEEP_IDLE: 30 }, 'ERR_SOCKET_TUNER_UNKNOWN_OPTION'],
    [
      'a name of a member of Object.prototype',
      { constructor: 30 },
      'ERR_SOCKET_TUNER_UNKNOWN_OPTION',
    ],
    ['an option that can only be read', { SO_TYPE: 1 }, 'ERR_SOCKET_TUNER_NOT_WRITABLE'],
    ['an option that is not offered', { IP_NODEFRAG: true }, 'ERR_SOCKET_TUNER_NOT_EXPOSED'],
    [
      'a blocking linger',
      { SO_LINGER: { enabled: true, seconds: 1 } },
      'ERR_SOCKET_TUNER_BLOCKING_LINGER',
    ],
  ])('makes no system call if the setting is %s', (_what, bad, code) => {
    const fd = tcpSocket()
    let error: unknown
    const calls = nativeCallsOf(() => {
      error = failureOf(() => tuneAny(fd, { TCP_NODELAY: true, ...bad }))
    })
    expect(error).toMatchObject({ code })
    expect(calls).toEqual([])
    expect(getOption(fd, 'TCP_NODELAY')).toBe(false)
  })

  it.each([undefined, null, 1, 'TCP_NODELAY', [], true])(
    'refuses %p as the settings',
    (settings) => {
      expect(failureOf(() => tuneAny(tcpSocket(), settings))).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
      })
    },
  )

  it('checks the settings before the target', () => {
    expect(failureOf(() => tuneAny(NaN, { TCP_KEEPIDLE: 0 }))).toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
      message: expect.stringContaining('TCP_KEEPIDLE') as string,
    })
  })
})

describe('tune that fails at a later setting', () => {
  /** Reads these options. */
  function snapshot(fd: number, names: readonly string[]): Record<string, unknown> {
    return Object.fromEntries(names.map((name) => [name, read(fd, name)]))
  }

  it('restores the previous settings, and names the option that failed', () => {
    const fd = tcpSocket()
    const settings = {
      TCP_NODELAY: true,
      TCP_KEEPIDLE: 30,
      SO_LINGER: { enabled: true, seconds: 0 },
      SO_MAX_PACING_RATE: 1_000_000n,
      IP_LOCAL_PORT_RANGE: { min: 40_000, max: 50_000 },
      IP_UNICAST_IF: 1,
      SO_RCVTIMEO: 5000,
      IP_OPTIONS: new Uint8Array([1, 1, 1, 0]),
      ...NO_ALGORITHM,
    } as const
    const names = Object.keys(settings)
    const before = snapshot(fd, names)
    const error = failureOf(() => tune(fd, settings))
    expect(error).toBeInstanceOf(SocketOptionError)
    expect(error).toMatchObject({
      code: 'ENOENT',
      errno: -constants.errno.ENOENT,
      syscall: 'setsockopt',
      option: 'TCP_CONGESTION',
      level: 'IPPROTO_TCP',
      fd,
      value: 'no_such_algo',
    })
    expect(error).not.toHaveProperty('notRestored')
    expect(snapshot(fd, names)).toEqual(before)
  })

  it('restores the previous values, not the defaults', () => {
    const fd = tcpSocket()
    tune(fd, { TCP_KEEPIDLE: 77, TCP_NODELAY: true, SO_PRIORITY: 5, TCP_CONGESTION: 'reno' })
    failureOf(() =>
      tune(fd, { TCP_KEEPIDLE: 30, TCP_NODELAY: false, SO_PRIORITY: 1, ...NO_ALGORITHM }),
    )
    expect(snapshot(fd, ['TCP_KEEPIDLE', 'TCP_NODELAY', 'SO_PRIORITY', 'TCP_CONGESTION'])).toEqual({
      TCP_KEEPIDLE: 77,
      TCP_NODELAY: true,
      SO_PRIORITY: 5,
      TCP_CONGESTION: 'reno',
    })
  })

  it.each(['SO_RCVBUF', 'SO_SNDBUF'] as const)('returns %s to autotuning', (name) => {
    const fd = tcpSocket()
    const before = snapshot(fd, [name, 'SO_BUF_LOCK'])
    expect(before.SO_BUF_LOCK).toBe(0)
    failureOf(() => tune(fd, { [name]: 50_000, ...NO_ALGORITHM }))
    expect(snapshot(fd, [name, 'SO_BUF_LOCK'])).toEqual(before)
  })

  it('keeps the lock of a buffer that was locked before', () => {
    const fd = tcpSocket()
    setOption(fd, 'SO_SNDBUF', 30_000)
    const before = snapshot(fd, ['SO_RCVBUF', 'SO_SNDBUF', 'SO_BUF_LOCK'])
    expect(before).toMatchObject({ SO_SNDBUF: 60_000, SO_BUF_LOCK: 1 })
    failureOf(() => tune(fd, { SO_RCVBUF: 50_000, SO_SNDBUF: 50_000, ...NO_ALGORITHM }))
    expect(snapshot(fd, ['SO_RCVBUF', 'SO_SNDBUF', 'SO_BUF_LOCK'])).toEqual(before)
  })

  it('returns TCP_MAXSEG to unset, although it reads as a default', async () => {
    const fd = tcpSocket()
    const before = getOption(fd, 'TCP_MAXSEG')
    failureOf(() => tune(fd, { TCP_MAXSEG: 1200, ...NO_ALGORITHM }))
    expect(getOption(fd, 'TCP_MAXSEG')).toBe(before)
    // A limit of 536 would be seen on a connection: segments on loopback are far larger.
    expect(await segmentSizeOf(fd)).toBeGreaterThan(1400)
  })

  it('restores SO_PRIORITY, which IP_TOS changes', () => {
    const fd = tcpSocket()
    setOption(fd, 'SO_PRIORITY', 3)
    failureOf(() => tune(fd, { IP_TOS: 0x10, ...NO_ALGORITHM }))
    expect(snapshot(fd, ['IP_TOS', 'SO_PRIORITY'])).toEqual({ IP_TOS: 0, SO_PRIORITY: 3 })
  })

  it('restores SO_TIMESTAMP, which SO_TIMESTAMPNS replaces', () => {
    const fd = tcpSocket()
    setOption(fd, 'SO_TIMESTAMP', true)
    failureOf(() => tune(fd, { SO_TIMESTAMPNS: true, ...NO_ALGORITHM }))
    expect(snapshot(fd, ['SO_TIMESTAMP', 'SO_TIMESTAMPNS'])).toEqual({
      SO_TIMESTAMP: true,
      SO_TIMESTAMPNS: false,
    })
  })

  it('restores an option of another family between two others', () => {
    const fd = tcpSocket(4)
    const error = failureOf(() =>
      tune(fd, { TCP_NODELAY: true, IPV6_TCLASS: 72, TCP_KEEPIDLE: 30 }),
    )
    expect(error).toMatchObject({
      code: 'ERR_SOCKET_TUNER_WRONG_SOCKET',
      option: 'IPV6_TCLASS',
      value: 72,
    })
    expect(error.message).toMatch(/IPPROTO_IPV6.*IPv4 TCP socket/)
    expect(getOption(fd, 'TCP_NODELAY')).toBe(false)
    expect(getOption(fd, 'TCP_KEEPIDLE')).not.toBe(30)
  })

  it('restores SOL_SOCKET options of a unix-domain socket if a TCP option follows', () => {
    const fd = unixSocket()
    const error = failureOf(() => tune(fd, { SO_PRIORITY: 3, TCP_NODELAY: true }))
    expect(error).toMatchObject({ code: 'ERR_SOCKET_TUNER_WRONG_SOCKET', option: 'TCP_NODELAY' })
    expect(error.message).toContain('a unix-domain socket')
    expect(getOption(fd, 'SO_PRIORITY')).toBe(0)
  })

  it('restores the previous settings if the process lacks a privilege', () => {
    const fd = tcpSocket()
    const error = unprivileged(() =>
      failureOf(() => tune(fd, { TCP_NODELAY: true, SO_MARK: 7, TCP_CORK: true })),
    )
    expect(error).toMatchObject({ code: 'EPERM', option: 'SO_MARK', value: 7 })
    expect(error.message).toContain('CAP_NET_ADMIN')
    expect(snapshot(fd, ['TCP_NODELAY', 'TCP_CORK'])).toEqual({
      TCP_NODELAY: false,
      TCP_CORK: false,
    })
  })

  it('lists options that could not be restored in notRestored', () => {
    const fd = tcpSocket()
    const error = failureOf(() =>
      tune(fd, {
        TCP_FASTOPEN_KEY: new Uint8Array(16).fill(0x5a),
        SO_LOCK_FILTER: true,
        TCP_NODELAY: true,
        ...NO_ALGORITHM,
      }),
    )
    expect(error).toMatchObject({
      code: 'ENOENT',
      option: 'TCP_CONGESTION',
      notRestored: ['TCP_FASTOPEN_KEY', 'SO_LOCK_FILTER'],
    })
    expect(error.message).toMatch(/TCP_FASTOPEN_KEY, SO_LOCK_FILTER$/)
    expect(getOption(fd, 'TCP_NODELAY')).toBe(false)
    expect(getOption(fd, 'SO_LOCK_FILTER')).toBe(true)
  })

  // Needs CAP_NET_ADMIN.
  const itPrivileged = isPrivileged ? it : it.skip
  itPrivileged.each([
    ['SO_RCVBUFFORCE', 'SO_RCVBUF'],
    ['SO_SNDBUFFORCE', 'SO_SNDBUF'],
  ] as const)('restores %s, which cannot be read, by setting %s', (name, changed) => {
    const fd = tcpSocket()
    const before = snapshot(fd, [changed, 'SO_BUF_LOCK'])
    const error = failureOf(() => tune(fd, { [name]: 8_000_000, ...NO_ALGORITHM }))
    expect(error).not.toHaveProperty('notRestored')
    expect(snapshot(fd, [changed, 'SO_BUF_LOCK'])).toEqual(before)
  })

  it('restores SO_RCVBUF, which a large SO_RCVLOWAT enlarges', () => {
    const fd = tcpSocket()
    const before = snapshot(fd, ['SO_RCVLOWAT', 'SO_RCVBUF', 'SO_BUF_LOCK'])
    failureOf(() => tune(fd, { SO_RCVLOWAT: 1_000_000, ...NO_ALGORITHM }))
    expect(snapshot(fd, ['SO_RCVLOWAT', 'SO_RCVBUF', 'SO_BUF_LOCK'])).toEqual(before)
  })

  // Setting the previous value succeeds, but the kernel limits it to net.core.rmem_max.
  itPrivileged('lists a buffer that was larger than net.core.rmem_max in notRestored', () => {
    const fd = tcpSocket()
    setOption(fd, 'SO_RCVBUFFORCE', 500_000_000)
    const error = failureOf(() => tune(fd, { SO_RCVBUF: 50_000, ...NO_ALGORITHM }))
    expect(getOption(fd, 'SO_RCVBUF')).toBeLessThan(1_000_000_000)
    expect(error.notRestored).toEqual(['SO_RCVBUF'])
  })

  it('restores TCP_WINDOW_CLAMP, which a large SO_RCVLOWAT raises', () => {
    const fd = tcpSocket()
    setOption(fd, 'TCP_WINDOW_CLAMP', 2000)
    failureOf(() => tune(fd, { SO_RCVLOWAT: 1_000_000, ...NO_ALGORITHM }))
    expect(getOption(fd, 'TCP_WINDOW_CLAMP')).toBe(2000)
  })

  // SO_SNDBUFFORCE needs CAP_NET_ADMIN.
  const itForced = isPrivileged ? it : it.skip
  itForced('lists a forced buffer that was larger than net.core.wmem_max in notRestored', () => {
    const fd = tcpSocket()
    setOption(fd, 'SO_SNDBUFFORCE', 500_000_000)
    const error = failureOf(() => tune(fd, { SO_SNDBUFFORCE: 50_000, ...NO_ALGORITHM }))
    expect(getOption(fd, 'SO_SNDBUF')).toBeLessThan(1_000_000_000)
    expect(error.notRestored).toBeDefined()
  })
})

describe('tune with an option that is unavailable here', () => {
  it('reports an option that this platform lacks, and sets the others', () => {
    const fd = tcpSocket()
    const report = tune(fd, { TCP_NODELAY: true, SO_NOSIGPIPE: true, TCP_CORK: true })
    expect(report).toEqual({
      TCP_NODELAY: { status: 'applied', value: true },
      SO_NOSIGPIPE: {
        status: 'unsupported',
        requested: true,
        why: `${process.platform} has no such option`,
      },
      TCP_CORK: { status: 'applied', value: true },
    })
    expect(getOption(fd, 'TCP_CORK')).toBe(true)
  })

  it('reports an option that this kernel lacks, and sets the others', () => {
    const fd = tcpSocket()
    // This is the only option that recent kernels report as unknown, unless a memory cgroup accounts for sockets.
    const report = tune(fd, { TCP_NODELAY: true, SO_RESERVE_MEM: 65_536, TCP_CORK: true })
    expect(report).toEqual({
      TCP_NODELAY: { status: 'applied', value: true },
      SO_RESERVE_MEM: {
        status: 'unsupported',
        requested: 65_536,
        why: expect.stringContaining('Linux has it since 5.16') as string,
      },
      TCP_CORK: { status: 'applied', value: true },
    })
  })

  it('restores all others if a later one fails', () => {
    const fd = tcpSocket()
    failureOf(() => tune(fd, { TCP_NODELAY: true, SO_RESERVE_MEM: 65_536, ...NO_ALGORITHM }))
    expect(getOption(fd, 'TCP_NODELAY')).toBe(false)
  })

  it('validates its value', () => {
    expect(failureOf(() => tuneAny(tcpSocket(), { SO_NOSIGPIPE: 1 }))).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    })
  })
})

describe('tune on a socket for which it is too late', () => {
  it('sets TCP_MAXSEG on a connected socket, but reports that it is too late', async () => {
    const { client } = await connectedPair()
    const warnings = warningsOf(() => {
      const report = tune(client, { TCP_NODELAY: true, TCP_MAXSEG: 1200 })
      expect(report.TCP_NODELAY).toEqual({ status: 'applied', value: true })
      expect(report.TCP_MAXSEG).toMatchObject({
        status: 'tooLate',
        requested: 1200,
        value: expect.any(Number) as number,
        why: expect.stringContaining('before connect()') as string,
      })
      // The process warning is emitted once per option.
      tune(client, { TCP_MAXSEG: 1200 })
      setOption(client, 'TCP_MAXSEG', 1200)
    })
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatchObject({
      code: 'SOCKET_TUNER_TOO_LATE',
      message: expect.stringMatching(/^TCP_MAXSEG must be set before connect\(\)/) as string,
      detail: expect.stringContaining('RawSocket') as string,
    })
  })

  it('reports nothing for a receive buffer that the window scale of a connection allows', async () => {
    const { client } = await connectedPair()
    const { rcvWscale = 0 } = tcpInfo(client)
    expect(rcvWscale).toBeGreaterThan(0)
    const warnings = warningsOf(() => {
      const report = tune(client, { SO_RCVBUF: 65_536 })
      expect(report.SO_RCVBUF).toMatchObject({ status: 'adjusted', value: 131_072 })
      setOption(client, 'SO_RCVBUF', 65_536)
    })
    expect(warnings).toEqual([])
  })

  it('reports a receive buffer that is too large for the window scale as too late', async () => {
    const port = await listen(net.createServer(destroyLater))
    const client = connect({ host: loopback[4], port, settings: { SO_RCVBUF: 4096 } })
    destroyLater(client)
    await once(client, 'connect')
    expect(tcpInfo(client).rcvWscale).toBe(0)
    const warnings = warningsOf(() => {
      expect(tune(client, { SO_RCVBUF: 65_535 }).SO_RCVBUF.status).toBe('adjusted')
      expect(tune(client, { SO_RCVBUF: 65_536 }).SO_RCVBUF).toEqual({
        status: 'tooLate',
        requested: 65_536,
        value: 131_072,
        why:
          'SO_RCVBUF must be set before connect(), or on the listening socket, for a receive window of more ' +
          'than 65535 bytes, the limit of the window scale of this connection',
      })
    })
    expect(warnings.map(({ code }) => code)).toEqual(['SOCKET_TUNER_TOO_LATE'])
  })

  it.each([
    ['bound', boundSocket],
    ['listening', listeningSocket],
  ])('reports a pre-bind option on a %s socket', (state, open) => {
    const fd = open()
    const warnings = warningsOf(() => {
      const report = tune(fd, { IP_FREEBIND: true, TCP_MAXSEG: 1200, TCP_SAVE_SYN: 1 })
      expect(report.IP_FREEBIND).toEqual({
        status: 'tooLate',
        requested: true,
        value: true,
        why: `IP_FREEBIND must be set before bind(): the socket is ${state}`,
      })
      expect(report.TCP_MAXSEG).toEqual({ status: 'applied', value: 1200 })
      expect(report.TCP_SAVE_SYN).toEqual({ status: 'applied', value: 1 })
    })
    expect(warnings.length).toBeLessThanOrEqual(1)
  })

  it('reports a listener option on a connected socket', async () => {
    const { accepted } = await connectedPair()
    warningsOf(() => {
      expect(tune(accepted, { TCP_SAVE_SYN: 1 }).TCP_SAVE_SYN).toMatchObject({
        status: 'tooLate',
        why: expect.stringContaining('acts on a listening socket') as string,
      })
    })
  })

  it('reports nothing on a fresh socket', () => {
    const warnings = warningsOf(() => {
      const report = tune(tcpSocket(), { IP_FREEBIND: true, SO_RCVBUF: 40_000, TCP_MAXSEG: 1200 })
      expect(report.IP_FREEBIND.status).toBe('applied')
    })
    expect(warnings).toEqual([])
  })
})

describe('tune with an option for sockets of another kind', () => {
  it('reports that the option has no effect on TCP, and emits one warning', () => {
    const warnings = warningsOf(() => {
      expect(tune(tcpSocket(), { IP_CHECKSUM: true, TCP_NODELAY: true })).toEqual({
        IP_CHECKSUM: {
          status: 'noEffect',
          requested: true,
          value: true,
          why: 'IP_CHECKSUM has no effect on TCP: it is for UDP sockets',
        },
        TCP_NODELAY: { status: 'applied', value: true },
      })
      setOption(tcpSocket(), 'IP_CHECKSUM', true)
      RawSocket.open(4, { IP_CHECKSUM: true }).close()
    })
    expect(warnings).toMatchObject([
      {
        code: 'SOCKET_TUNER_NO_EFFECT',
        message: expect.stringContaining('IP_CHECKSUM') as string,
      },
    ])
  })

  it('reports the option as applied on such a socket', () => {
    const warnings = warningsOf(() => {
      expect(tune(udpSocket(), { IP_CHECKSUM: true, SO_BROADCAST: true })).toEqual({
        IP_CHECKSUM: { status: 'applied', value: true },
        SO_BROADCAST: { status: 'applied', value: true },
      })
    })
    expect(warnings).toEqual([])
  })
})

describe('the secrets in settings', () => {
  const bytes = Buffer.from('a-16-byte-secret')
  const secret = bytes.toString()

  function expectNoSecret(value: unknown): void {
    const text = `${JSON.stringify(value)} ${inspect(value, { depth: Infinity })}`
    expect(text).not.toContain(secret)
    expect(text).not.toContain([...bytes].join(','))
    expect(text).not.toContain(bytes.toString('hex'))
  }

  it('are not in the report', () => {
    const report = tune(tcpSocket(), { TCP_FASTOPEN_KEY: bytes, TCP_NODELAY: true })
    expect(report.TCP_FASTOPEN_KEY).toEqual({ status: 'applied', value: undefined })
    expectNoSecret(report)
  })

  it('are not in the error of their own failure', () => {
    const fd = tcpSocket(4)
    const key = { address: '::1', key: bytes }
    const error = failureOf(() => tune(fd, { TCP_MD5SIG: key }))
    expect(error).toMatchObject({ code: 'EINVAL', option: 'TCP_MD5SIG' })
    expect(error).not.toHaveProperty('value')
    expectNoSecret(error)
  })

  it('are not in the error of another failure', () => {
    const error = failureOf(() => tune(tcpSocket(), { TCP_FASTOPEN_KEY: bytes, ...NO_ALGORITHM }))
    expectNoSecret(error)
  })

  it('are not in the report of a platform without the option', () => {
    const { tune: tuneElsewhere } = libraryWithout('TCP_FASTOPEN_KEY')
    const report = tuneElsewhere(tcpSocket(), { TCP_FASTOPEN_KEY: bytes })
    expect(report.TCP_FASTOPEN_KEY).toEqual({
      status: 'unsupported',
      requested: undefined,
      why: `${process.platform} has no such option`,
    })
    expectNoSecret(report)
  })
})

/** Loads the library as if the platform lacked one constant. */
function libraryWithout(name: string): typeof Library {
  let library: typeof Library | undefined
  jest.isolateModules(() => {
    jest.doMock('../../lib/kernel/binding', () => ({
      native: { ...native, constants: { ...native.constants, [name]: undefined } },
    }))
    library = jest.requireActual('../../lib')
  })
  jest.dontMock('../../lib/kernel/binding')
  if (library === undefined) throw new Error('not loaded')
  return library
}

/** Connects the socket, and returns the size of the segments that it sends. */
async function segmentSizeOf(fd: number): Promise<number> {
  const server = net.createServer()
  const port = await listen(server)
  const socket = new net.Socket({ fd: handOver(fd) })
  destroyLater(socket)
  socket.connect(port, loopback[4])
  await once(socket, 'connect')
  return tcpInfo(socket).sndMss ?? 0
}

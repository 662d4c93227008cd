import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import * as net from 'node:net'
import {
  describeOption,
  getOption,
  queueSizes,
  setOption,
  tune,
  type OptionKind,
  type Settings,
  type WritableOption,
} from '../../lib'
import { native } from '../../lib/kernel/binding'
import {
  boundSocket,
  closeLater,
  connectedPair,
  constant,
  destroyLater,
  failureOf,
  handOver,
  isPrivileged,
  listen,
  listeningSocket,
  loopback,
  nativeCallsOf,
  succeed,
  tcpSocket,
  udpSocket,
  unixSocket,
  unprivileged,
  warningsOf,
} from '../sockets'
import { anotherValue, isPresent, read, rows } from './rows'
import { boundDatagramSocket, tcpTargets, unixPair } from './targets'

/** Returns the descriptors of this process that are sockets whose option has this value. */
function descriptorsWith(name: string, value: number): number[] {
  const level = name.startsWith('TCP_') ? 'IPPROTO_TCP' : 'SOL_SOCKET'
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => native.getInt(fd, constant(level), constant(name)) === value)
}

function supplementaryGroups(): number {
  const [, groups = ''] = /^Groups:(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return groups.split(' ').filter((group) => group.trim() !== '').length
}

function mtuOfLoopback(): number {
  return Number(readFileSync('/sys/class/net/lo/mtu', 'utf8'))
}

function succeeds(call: () => void): boolean {
  try {
    call()
    return true
  } catch {
    return false
  }
}

/** Returns settings whose names are only known at run time. */
function settings(...namesAndValues: readonly unknown[]): Settings {
  const result: Record<string, unknown> = {}
  for (let i = 0; i < namesAndValues.length; i += 2) {
    Object.defineProperty(result, String(namesAndValues[i]), {
      value: namesAndValues[i + 1],
      enumerable: true,
    })
  }
  return result
}

describe('setOption and getOption', () => {
  it.each(tcpTargets)('act on %s', async (_what, make) => {
    const target = await make()
    const before = getOption(target, 'TCP_KEEPIDLE')
    expect(before).not.toBe(12_345)
    setOption(target, 'TCP_KEEPIDLE', 12_345)
    expect(getOption(target, 'TCP_KEEPIDLE')).toBe(12_345)
    // No other open socket has changed.
    const [fd, ...others] = descriptorsWith('TCP_KEEPIDLE', 12_345)
    expect(others).toEqual([])
    expect(getOption(fd ?? -1, 'SO_COOKIE')).toBe(getOption(target, 'SO_COOKIE'))
  })
})

describe('a socket other than TCP', () => {
  it.each([
    ['udp4', 'an IPv4 UDP socket'],
    ['udp6', 'an IPv6 UDP socket'],
  ] as const)('accepts the options of its own levels if it is of type %s', async (type, kind) => {
    const socket = await boundDatagramSocket(type)
    setOption(socket, 'IP_TOS', 0x48)
    expect(getOption(socket, 'IP_TOS')).toBe(0x48)
    setOption(socket, 'SO_PRIORITY', 5)
    expect(getOption(socket, 'SO_PRIORITY')).toBe(5)
    const [fd] = descriptorsWith('SO_PRIORITY', 5)
    expect(getOption(fd ?? -1, 'SO_COOKIE')).toBe(getOption(socket, 'SO_COOKIE'))
    for (const call of [
      () => getOption(socket, 'TCP_NODELAY'),
      () => {
        setOption(socket, 'TCP_NODELAY', true)
      },
      () => tune(socket, { TCP_NODELAY: true }),
    ]) {
      expect(failureOf(call)).toMatchObject({
        code: 'ERR_SOCKET_TUNER_WRONG_SOCKET',
        message: `TCP_NODELAY is an option of IPPROTO_TCP; fd ${String(fd)} is ${kind}`,
      })
    }
  })

  it.each(['server', 'client', 'accepted'] as const)(
    'accepts options of SOL_SOCKET if it is a unix-domain %s',
    async (end) => {
      const target: net.Server | net.Socket = (await unixPair())[end]
      setOption(target, 'SO_PRIORITY', 5)
      expect(getOption(target, 'SO_PRIORITY')).toBe(5)
      for (const name of ['TCP_NODELAY', 'IP_FREEBIND', 'IPV6_FREEBIND'] as const) {
        for (const call of [
          () => getOption(target, name),
          () => {
            setOption(target, name, true)
          },
          () => tune(target, settings('SO_PRIORITY', 4, name, true)),
        ]) {
          const error = failureOf(call)
          expect(error).toMatchObject({ code: 'ERR_SOCKET_TUNER_WRONG_SOCKET', option: name })
          expect(error.message).toMatch(
            new RegExp(`^${name} is an option of IPPROTO_\\w+; fd \\d+ is a unix-domain socket$`),
          )
          expect(getOption(target, 'SO_PRIORITY')).toBe(5)
        }
      }
    },
  )

  it('is distinguished from an IPv6 TCP socket, which accepts IPv4 options', () => {
    const fd = tcpSocket(6)
    setOption(fd, 'IP_TTL', 33)
    expect(getOption(fd, 'IP_TTL')).toBe(33)
  })
})

describe('a dual-stack socket', () => {
  it('keeps the options of both families separate', async () => {
    const server = net.createServer({ pauseOnConnect: true })
    const port = await listen(server, '::ffff:127.0.0.1')
    setOption(server, 'IP_TOS', 0x48)
    setOption(server, 'IPV6_TCLASS', 0x28)
    const connection = once(server, 'connection') as Promise<[net.Socket]>
    const client = net.connect(port, loopback[4])
    destroyLater(client)
    const [accepted] = await connection
    destroyLater(accepted)
    expect(getOption(accepted, 'IP_TOS')).toBe(0x48)
    expect(getOption(accepted, 'IPV6_TCLASS')).toBe(0x28)
    expect(getOption(accepted, 'SO_DOMAIN')).toBe(constant('AF_INET6'))
    expect(getOption(client, 'SO_DOMAIN')).toBe(constant('AF_INET'))
    expect(failureOf(() => getOption(client, 'IPV6_TCLASS'))).toMatchObject({
      code: 'ERR_SOCKET_TUNER_WRONG_SOCKET',
    })
  })
})

describe('an option that can only be read', () => {
  it('reports the kind of a socket', async () => {
    const { client } = await connectedPair()
    const unix = unixSocket()
    const udp = udpSocket(6)
    const kindOf = (target: number | net.Socket): unknown[] => [
      getOption(target, 'SO_DOMAIN'),
      getOption(target, 'SO_TYPE'),
      getOption(target, 'SO_PROTOCOL'),
      getOption(target, 'SO_ACCEPTCONN'),
    ]
    const { AF_INET = 0, AF_INET6, AF_UNIX, SOCK_STREAM, SOCK_DGRAM } = native.constants
    expect(kindOf(client)).toEqual([AF_INET, SOCK_STREAM, constant('IPPROTO_TCP'), false])
    expect(kindOf(udp)).toEqual([AF_INET6, SOCK_DGRAM, 17, false])
    expect(kindOf(unix)).toEqual([AF_UNIX, SOCK_STREAM, 0, false])
    expect(kindOf(listeningSocket())).toEqual([AF_INET, SOCK_STREAM, constant('IPPROTO_TCP'), true])
  })

  it('is SO_COOKIE, which differs between sockets and does not change', () => {
    const [a, b] = [tcpSocket(), tcpSocket()]
    const cookie = getOption(a, 'SO_COOKIE')
    expect(typeof cookie).toBe('bigint')
    expect(getOption(a, 'SO_COOKIE')).toBe(cookie)
    expect(getOption(b, 'SO_COOKIE')).not.toBe(cookie)
  })

  it('is SO_MEMINFO, which reports the buffer sizes', () => {
    const fd = tcpSocket()
    setOption(fd, 'SO_RCVBUF', 30_000)
    setOption(fd, 'SO_SNDBUF', 20_000)
    expect(getOption(fd, 'SO_MEMINFO')).toEqual({
      rmemAlloc: 0,
      rcvbuf: 60_000,
      wmemAlloc: 0,
      sndbuf: 40_000,
      forwardAlloc: 0,
      wmemQueued: 0,
      optmem: 0,
      backlog: 0,
      drops: 0,
    })
  })

  it('is SO_PEERCRED, which names the process at the other end of a unix-domain socket', async () => {
    const { client } = await unixPair()
    expect(getOption(client, 'SO_PEERCRED')).toEqual({
      pid: process.pid,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
    })
    expect(getOption(client, 'SO_PEERGROUPS')).toHaveLength(4 * supplementaryGroups())
  })

  it('is IP_MTU, which is that of the loopback interface, and only exists on a connection', async () => {
    const { client } = await connectedPair()
    expect(getOption(client, 'IP_MTU')).toBe(Math.min(65_535, mtuOfLoopback()))
    expect(failureOf(() => getOption(tcpSocket(), 'IP_MTU'))).toMatchObject({ code: 'ENOTCONN' })
    const { client: client6 } = await connectedPair(loopback[6])
    expect(getOption(client6, 'IPV6_MTU')).toBe(mtuOfLoopback())
  })

  it('is TCP_SAVED_SYN, which returns the SYN once', async () => {
    const server = net.createServer({ pauseOnConnect: true })
    const port = await listen(server)
    setOption(server, 'TCP_SAVE_SYN', 1)
    const connection = once(server, 'connection') as Promise<[net.Socket]>
    const client = net.connect(port, loopback[4])
    destroyLater(client)
    const [accepted] = await connection
    destroyLater(accepted)
    const syn = Buffer.from(getOption(accepted, 'TCP_SAVED_SYN'))
    // An IPv4 header of 20 bytes with the two addresses, then the TCP header with the two ports.
    expect(syn[0]).toBe(0x45)
    expect([...syn.subarray(12, 20)]).toEqual([127, 0, 0, 1, 127, 0, 0, 1])
    expect(syn.readUInt16BE(20)).toBe(accepted.remotePort)
    expect(syn.readUInt16BE(22)).toBe(port)
    expect(getOption(accepted, 'TCP_SAVED_SYN')).toHaveLength(0)
  })

  it.each([
    [
      'SO_ORIGINAL_DST',
      [2, 0, 0x1f, 0x90, 192, 0, 2, 7, 0, 0, 0, 0, 0, 0, 0, 0],
      { family: 'IPv4', address: '192.0.2.7', port: 8080 },
    ],
    [
      'IP6T_SO_ORIGINAL_DST',
      [
        10, 0, 1, 0xbb, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
        0,
      ],
      { family: 'IPv6', address: '2001:db8::1', port: 443 },
    ],
  ] as const)('is %s, which is an address', (name, sockaddr, address) => {
    // The kernel answers only if a firewall has redirected the connection.
    const spy = jest.spyOn(native, 'getBytes').mockImplementation((...[, , , out]) => {
      out.set(sockaddr)
      return sockaddr.length
    })
    try {
      expect(getOption(tcpSocket(), name)).toEqual(address)
    } finally {
      spy.mockRestore()
    }
  })

  it('is SO_ORIGINAL_DST, which is refused if nothing was redirected', async () => {
    const { accepted } = await connectedPair()
    const error = failureOf(() => getOption(accepted, 'SO_ORIGINAL_DST'))
    expect(['ENOENT', 'ERR_SOCKET_TUNER_UNSUPPORTED']).toContain(error.code)
  })
})

describe('an option that can only be set', () => {
  const DROP_ALL = [{ code: 0x06, jt: 0, jf: 0, k: 0 }]
  // A security policy may deny filters to unprivileged processes.
  const itFilter = succeeds(() => {
    setOption(tcpSocket(), 'SO_ATTACH_FILTER', DROP_ALL)
  })
    ? it
    : it.skip

  itFilter('is SO_ATTACH_FILTER, which drops segments until SO_DETACH_FILTER is set', async () => {
    const { client, accepted } = await connectedPair()
    setOption(accepted, 'SO_ATTACH_FILTER', DROP_ALL)
    client.write('lost')
    await new Promise((resolve) => setImmediate(resolve))
    expect(queueSizes(client).unacknowledged).toBe(4)
    expect(queueSizes(accepted).unread).toBe(0)
    setOption(accepted, 'SO_DETACH_FILTER', 0)
    // The retransmission passes.
    const arrived = once(accepted, 'data')
    accepted.resume()
    expect(String((await arrived)[0])).toBe('lost')
    expect(
      failureOf(() => {
        setOption(accepted, 'SO_DETACH_FILTER', 0)
      }),
    ).toMatchObject({ code: 'ENOENT' })
  })

  itFilter('is SO_LOCK_FILTER, after which a filter cannot be detached', () => {
    const fd = tcpSocket()
    setOption(fd, 'SO_LOCK_FILTER', true)
    expect(
      failureOf(() => {
        setOption(fd, 'SO_ATTACH_FILTER', DROP_ALL)
      }),
    ).toMatchObject({ code: 'EPERM' })
  })

  it('is SO_ATTACH_REUSEPORT_CBPF, whose program chooses the listener', async () => {
    const servers: net.Server[] = []
    const counts = [0, 0, 0]
    let port = 0
    for (const index of counts.keys()) {
      const fd = tcpSocket()
      setOption(fd, 'SO_REUSEPORT', true)
      succeed(native.bindFd(fd, loopback[4], port))
      port = native.localPort(fd)
      if (index === 0)
        setOption(fd, 'SO_ATTACH_REUSEPORT_CBPF', [{ code: 0x06, jt: 0, jf: 0, k: 2 }])
      const server = net.createServer((socket) => {
        counts[index] = (counts[index] ?? 0) + 1
        socket.end()
      })
      closeLater(() => {
        server.close()
      })
      server.listen({ fd: handOver(fd) })
      await once(server, 'listening')
      servers.push(server)
    }
    for (let i = 0; i < 20; i++) {
      const client = net.connect(port, loopback[4])
      destroyLater(client)
      client.resume()
      await once(client, 'close')
    }
    expect(counts).toEqual([0, 0, 20])
  })

  it('is TCP_MD5SIG, which admits only connections with the same key', async () => {
    const key = Buffer.from('shared')
    const fd = tcpSocket()
    setOption(fd, 'TCP_MD5SIG', { address: loopback[4], key })
    succeed(native.bindFd(fd, loopback[4], 0))
    const server = net.createServer((socket) => socket.end('signed'))
    closeLater(() => {
      server.close()
    })
    server.listen({ fd: handOver(fd) })
    await once(server, 'listening')
    const port = native.localPort(fd)

    const connect = (client: number): net.Socket => {
      const socket = new net.Socket({ fd: handOver(client) })
      destroyLater(socket)
      return socket.connect(port, loopback[4])
    }
    const unsigned = connect(tcpSocket())
    const wrong = tcpSocket()
    setOption(wrong, 'TCP_MD5SIG', { address: loopback[4], key: Buffer.from('wrong') })
    const signedWrong = connect(wrong)
    const right = tcpSocket()
    setOption(right, 'TCP_MD5SIG', { address: loopback[4], key })
    const signed = connect(right)
    expect(String((await once(signed, 'data'))[0])).toBe('signed')
    // The SYNs of the other two arrived before and were dropped.
    expect([unsigned.connecting, signedWrong.connecting]).toEqual([true, true])
  })

  it('is TCP_MD5SIG, which accepts every spelling of an IPv6 address', () => {
    for (const address of ['::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', 'fe80::1:2', '::']) {
      const fd = tcpSocket(6)
      setOption(fd, 'TCP_MD5SIG', { address, key: Buffer.from('k') })
      // An empty key removes the key of exactly that peer. A second removal fails.
      setOption(fd, 'TCP_MD5SIG', { address, key: new Uint8Array(0) })
      expect(
        failureOf(() => {
          setOption(fd, 'TCP_MD5SIG', { address, key: new Uint8Array(0) })
        }),
      ).toMatchObject({ code: 'ENOENT' })
    }
    const fd = tcpSocket(6)
    setOption(fd, 'TCP_MD5SIG', { address: '0:0:0::1', key: Buffer.from('k') })
    setOption(fd, 'TCP_MD5SIG', { address: '::1', key: new Uint8Array(0) })
  })

  it('is TCP_FASTOPEN_KEY, which has 16 or 32 bytes', () => {
    const fd = tcpSocket()
    setOption(fd, 'TCP_FASTOPEN_KEY', new Uint8Array(16))
    setOption(fd, 'TCP_FASTOPEN_KEY', new Uint8Array(32))
    expect(
      failureOf(() => {
        setOption(fd, 'TCP_FASTOPEN_KEY', new Uint8Array(17))
      }),
    ).toMatchObject({ code: 'EINVAL' })
  })

  it('is SO_CNX_ADVICE, which a connection accepts', async () => {
    const { client } = await connectedPair()
    setOption(client, 'SO_CNX_ADVICE', 1)
  })

  it.each(['SO_ATTACH_BPF', 'SO_ATTACH_REUSEPORT_EBPF'] as const)(
    'is %s, whose error names the descriptor that it needs',
    (name) => {
      const error = failureOf(() => {
        setOption(tcpSocket(), name, tcpSocket())
      })
      expect(error).toMatchObject({ code: 'EINVAL', option: name })
      expect(error.message).toContain('program')
    },
  )

  // Needs CAP_NET_ADMIN.
  const itPrivileged = isPrivileged ? it : it.skip
  itPrivileged.each([
    ['SO_RCVBUFFORCE', 'SO_RCVBUF'],
    ['SO_SNDBUFFORCE', 'SO_SNDBUF'],
  ] as const)('is %s, which exceeds the limit of %s', (force, plain) => {
    const fd = tcpSocket()
    setOption(fd, plain, 2 ** 30 - 1)
    const limit = getOption(fd, plain)
    setOption(fd, force, limit)
    expect(getOption(fd, plain)).toBe(2 * limit)
  })
})

describe('repair mode', () => {
  // Needs CAP_NET_ADMIN.
  const itPrivileged = isPrivileged ? it : it.skip
  itPrivileged('reads and sets the state of the queues', () => {
    const fd = tcpSocket()
    setOption(fd, 'TCP_REPAIR', 1)
    setOption(fd, 'TCP_REPAIR_QUEUE', 2)
    expect(getOption(fd, 'TCP_REPAIR_QUEUE')).toBe(2)
    setOption(fd, 'TCP_QUEUE_SEQ', 0xffff_fff0)
    expect(getOption(fd, 'TCP_QUEUE_SEQ')).toBe(0xffff_fff0)
    setOption(fd, 'TCP_TIMESTAMP', 0xf000_0000)
    expect(getOption(fd, 'TCP_TIMESTAMP')).toBeGreaterThanOrEqual(0xf000_0000)
    setOption(fd, 'TCP_REPAIR', 0)
    expect(
      failureOf(() => {
        setOption(fd, 'TCP_TIMESTAMP', 1)
      }),
    ).toMatchObject({ code: 'EPERM' })
  })
})

describe('the message of a refused option', () => {
  const none = 'no_such_name'
  const cases: readonly [name: WritableOption, value: unknown, fd: () => number, text: RegExp][] = [
    [
      'TCP_CONGESTION',
      none,
      tcpSocket,
      /: ENOENT, returned when the kernel has no algorithm of that name$/,
    ],
    ['SO_BINDTODEVICE', none, tcpSocket, /: ENODEV, returned when no interface has that name$/],
    [
      'SO_DETACH_FILTER',
      0,
      tcpSocket,
      /^setsockopt SO_DETACH_FILTER on fd \d+: ENOENT, returned when no program is attached$/,
    ],
    [
      'TCP_FASTOPEN_CONNECT',
      true,
      listeningSocket,
      /: EINVAL, returned on a socket that is listening, .*: set it before connect\(\), as RawSocket and/,
    ],
    [
      'IPV6_V6ONLY',
      true,
      () => boundSocket(6),
      /: EINVAL, returned once .*: set it before bind\(\)/,
    ],
  ]
  it.each(cases)('names the cause once, and the fix: %s %j', (name, value, open, text) => {
    const fd = open()
    const { message } = failureOf(() => {
      setOption(fd, name, value as never)
    })
    expect(message).toMatch(text)
    expect(message.match(/\bE[A-Z]{4,}\b/g)).toHaveLength(1)
  })
})

describe('an option that needs a privilege', () => {
  const cases: readonly [name: WritableOption, value: unknown][] = [
    ['SO_DEBUG', true],
    ['SO_MARK', 1],
    ['SO_RCVBUFFORCE', 1],
    ['SO_SNDBUFFORCE', 1],
    ['SO_PREFER_BUSY_POLL', true],
    ['SO_BUSY_POLL_BUDGET', 100],
    ['SO_PRIORITY', 7],
    ['TCP_REPAIR', 1],
    ['IP_TRANSPARENT', true],
    ['SO_TXTIME', { clockId: 0, flags: 0 }],
  ]
  it.each(cases)('names the missing capability in its error: %s', (name, value) => {
    const fd = tcpSocket()
    const error = unprivileged(() =>
      failureOf(() => {
        setOption(fd, name, value as never)
      }),
    )
    expect(['EPERM', 'EACCES']).toContain(error.code)
    expect(error).toMatchObject({ syscall: 'setsockopt', option: name, fd, value })
    expect(error.message).toContain(
      `needs ${describeOption(name).privilege ?? 'nothing'}. Run as root`,
    )
    expect(error.message).toMatch(/setcap .*AmbientCapabilities.*--cap-add/)
  })
})

describe('a value', () => {
  /** Values that are invalid for every option, or valid for a few kinds only. */
  const junk: readonly unknown[] = [
    undefined,
    null,
    NaN,
    Infinity,
    -Infinity,
    0.5,
    -(2 ** 31) - 1,
    2 ** 32,
    2 ** 53,
    '',
    'reno\0',
    'x'.repeat(4096),
    1n,
    -1n,
    2n ** 64n,
    Symbol('value'),
    () => 1,
    [],
    [1],
    {},
    Object.create(null) as unknown,
    new Date(0),
    new Uint8Array(40_000),
    new Uint16Array(16),
    new ArrayBuffer(16),
    new DataView(new ArrayBuffer(16)),
    new Number(1),
    new Boolean(true),
    { enabled: 1, seconds: 0 },
    { enabled: true },
    { enabled: true, seconds: -1 },
    { enabled: true, seconds: 2 ** 31, blocking: true },
    { enabled: true, seconds: 1, blocking: 1 },
    { min: 2, max: 1 },
    { min: 0, max: 65_536 },
    { min: 0.5, max: 1 },
    { clockId: -1, flags: 0 },
    { clockId: 0, flags: 2 ** 32 },
    { address: 'localhost', key: new Uint8Array(1) },
    { address: '127.0.0.1', key: 'key' },
    { address: '127.0.0.1', key: new Uint8Array(81) },
    { address: 'fe80::1%lo', key: new Uint8Array(1) },
    [{ code: 1, jt: 0, jf: 256, k: 0 }],
    [{ code: 1, jt: 0, jf: 0 }],
    [null],
  ]
  /** Those that an option of the kind accepts. */
  const taken: Partial<Record<OptionKind, readonly unknown[]>> = { u64: [1n] }

  it.each(rows.filter(({ access }) => access === 'w' || access === 'rw'))(
    'is refused before any system call if it is of the wrong kind for $name',
    ({ name, kind, length }) => {
      const fd = tcpSocket(6)
      const accepted = taken[kind] ?? []
      const calls = nativeCallsOf(() => {
        for (const value of junk) {
          if (accepted.includes(value)) continue
          if (value === '' && kind === 'string' && length?.[0] === 0) continue
          const { code } = failureOf(() => {
            setOption(fd, name as WritableOption, value as never)
          })
          expect([name, value, code]).toEqual([
            name,
            value,
            expect.stringMatching(/^ERR_(INVALID_ARG_TYPE|INVALID_ARG_VALUE|OUT_OF_RANGE)$/),
          ])
        }
      })
      expect(calls).toEqual([])
    },
  )

  it.each(rows.filter(({ range, access }) => range !== undefined && access !== 'r'))(
    'is refused beyond the range of $name',
    ({ name, access, kind, range, also = [] }) => {
      if (access === 'none' || range === undefined) return
      const [min, max] = range
      for (const value of [min - 1, max + 1, min - 2 ** 32, max + 2 ** 32]) {
        if (also.includes(value)) continue
        expect(
          failureOf(() => {
            setOption(tcpSocket(6), name as 'TCP_KEEPIDLE', value)
          }),
        ).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
      }
      expect(kind).not.toBe('bool')
    },
  )

  it('has its members read once', () => {
    let reads = 0
    const value = {
      get enabled(): boolean {
        return ++reads === 1
      },
      seconds: 0,
    }
    const fd = tcpSocket()
    setOption(fd, 'SO_LINGER', value)
    expect(reads).toBe(1)
    expect(getOption(fd, 'SO_LINGER')).toEqual({ enabled: true, seconds: 0 })
  })

  it('is not set if one of its getters throws, and the error is passed on', () => {
    const fd = tcpSocket()
    const calls = nativeCallsOf(() => {
      expect(() => {
        setOption(fd, 'SO_LINGER', {
          enabled: true,
          get seconds(): number {
            throw new RangeError('mine')
          },
        })
      }).toThrow('mine')
    })
    expect(calls).toEqual([])
  })

  it('is a copy when it is read', () => {
    const fd = tcpSocket()
    setOption(fd, 'IP_OPTIONS', new Uint8Array([1, 1, 1, 0]))
    const first = getOption(fd, 'IP_OPTIONS')
    setOption(fd, 'IP_OPTIONS', new Uint8Array([1, 1, 0, 0]))
    getOption(fd, 'IP_OPTIONS')
    expect([...first]).toEqual([1, 1, 1, 0])
  })
})

describe('a name', () => {
  const names = [
    'SO_NONE',
    'toString',
    '__proto__',
    '',
    'so_type',
    'TCP_NODELAY\0',
    'x'.repeat(9999),
  ]
  it.each(names)('is refused as an unknown option before any system call if it is %j', (name) => {
    const fd = tcpSocket()
    const calls = nativeCallsOf(() => {
      for (const call of [
        () => getOption(fd, name as 'SO_TYPE'),
        () => {
          setOption(fd, name as 'SO_DEBUG', true)
        },
        () => tune(fd, settings(name, true)),
      ]) {
        expect(failureOf(call)).toMatchObject({ code: 'ERR_SOCKET_TUNER_UNKNOWN_OPTION' })
      }
    })
    expect(calls).toEqual([])
  })

  it.each([undefined, null, 1, NaN, {}, [], Symbol('name'), ['SO_TYPE']])(
    'is refused if it is %p, which is not a string',
    (name) => {
      const fd = tcpSocket()
      expect(failureOf(() => getOption(fd, name as never))).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
        message: expect.stringContaining('"name" argument must be of type string') as string,
      })
    },
  )

  it.each(rows.filter(({ access }) => access === 'none'))(
    'is refused with the reason if the option is not offered: $name',
    ({ name, because = 'nothing' }) => {
      const fd = tcpSocket()
      for (const call of [
        () => read(fd, name),
        () => {
          setOption(fd, name as 'SO_DEBUG', true)
        },
        () => tune(fd, settings(name, true)),
      ]) {
        const error = failureOf(call)
        expect(error).toMatchObject({ code: 'ERR_SOCKET_TUNER_NOT_EXPOSED', option: name })
        expect(error.message).toContain(because)
      }
    },
  )

  it.each(rows.filter((row) => !isPresent(row) && row.access === 'rw'))(
    'is refused as unsupported if only another platform has it: $name',
    (row) => {
      const fd = tcpSocket()
      const unsupported = {
        code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
        message: `${row.name} is not supported here: ${process.platform} has no such option`,
      }
      expect(failureOf(() => read(fd, row.name))).toMatchObject(unsupported)
      expect(
        failureOf(() => {
          setOption(fd, row.name as 'SO_DEBUG', anotherValue(row, undefined) as boolean)
        }),
      ).toMatchObject(unsupported)
    },
  )
})

describe('SO_LINGER', () => {
  it.each([1, 65_535])('is refused with %d s unless blocking is true', (seconds) => {
    const fd = tcpSocket()
    for (const blocking of [undefined, false]) {
      const value =
        blocking === undefined ? { enabled: true, seconds } : { enabled: true, seconds, blocking }
      for (const call of [
        () => {
          setOption(fd, 'SO_LINGER', value)
        },
        () => tune(fd, { SO_LINGER: value }),
      ]) {
        const error = failureOf(call)
        expect(error).toMatchObject({
          code: 'ERR_SOCKET_TUNER_BLOCKING_LINGER',
          option: 'SO_LINGER',
          level: 'SOL_SOCKET',
          value: { enabled: true, seconds },
        })
        expect(error.message).toContain(`${String(seconds)} s`)
        expect(error.message).toContain("closeSocket(socket, 'deliver')")
      }
    }
    expect(getOption(fd, 'SO_LINGER')).toEqual({ enabled: false, seconds: 0 })
    setOption(fd, 'SO_LINGER', { enabled: true, seconds, blocking: true })
    expect(getOption(fd, 'SO_LINGER')).toEqual({ enabled: true, seconds })
    setOption(fd, 'SO_LINGER', { enabled: false, seconds })
    expect(getOption(fd, 'SO_LINGER')).toEqual({ enabled: false, seconds: 0 })
  })

  it('causes no warning on a socket that does not listen, or if it is disabled', () => {
    const listener = listeningSocket()
    const warnings = warningsOf(() => {
      setOption(tcpSocket(), 'SO_LINGER', { enabled: true, seconds: 0 })
      tune(tcpSocket(), { SO_LINGER: { enabled: true, seconds: 0 } })
      setOption(listener, 'SO_LINGER', { enabled: false, seconds: 0 })
    })
    expect(warnings).toEqual([])
  })
})

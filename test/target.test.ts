import { execFile, execFileSync } from 'node:child_process'
import * as dgram from 'node:dgram'
import { once } from 'node:events'
import { closeSync, constants, openSync, readdirSync, readlinkSync } from 'node:fs'
import * as http2 from 'node:http2'
import * as net from 'node:net'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import * as tls from 'node:tls'
import { promisify } from 'node:util'
import { getOption, queueSizes, setOption, tcpInfo, tune, type Target } from '../lib'
import { socketPath } from './options/targets'
import {
  closeLater,
  closedDescriptor,
  connectedPair,
  destroyLater,
  failureOf,
  listen,
  loopback,
  nativeCallsOf,
  tcpSocket,
} from './sockets'

/** Every function that accepts a target, with valid arguments. */
const calls: readonly [name: string, call: (target: Target) => unknown][] = [
  ['getOption', (target) => getOption(target, 'SO_KEEPALIVE')],
  [
    'setOption',
    (target) => {
      setOption(target, 'SO_KEEPALIVE', true)
    },
  ],
  ['tune', (target) => tune(target, { SO_KEEPALIVE: true, TCP_NODELAY: true })],
  ['tcpInfo', (target) => tcpInfo(target)],
  ['queueSizes', (target) => queueSizes(target)],
]

/** Expects that every function refuses the target without a system call. */
function expectRefused(target: unknown, code: string, message: RegExp): void {
  for (const [name, call] of calls) {
    const made = nativeCallsOf(() => {
      const error = failureOf(() => call(target as Target))
      expect([name, error.code, error.message]).toEqual([
        name,
        code,
        expect.stringMatching(message),
      ])
    })
    expect([name, ...made]).toEqual([name])
  }
}

describe('a net.Socket', () => {
  it('has no handle if it was never connected', () => {
    expectRefused(new net.Socket(), 'ERR_SOCKET_TUNER_NO_HANDLE', /wait for 'connect'/)
  })

  it('has no descriptor in the tick of connect()', async () => {
    const server = net.createServer()
    const port = await listen(server)
    const socket = net.connect(port, loopback[4])
    destroyLater(socket)
    expectRefused(socket, 'ERR_SOCKET_TUNER_NO_DESCRIPTOR', /wait for 'connect'/)
    await new Promise<void>((resolve) => {
      process.nextTick(resolve)
    })
    setOption(socket, 'TCP_NODELAY', true)
    expect(getOption(socket, 'TCP_NODELAY')).toBe(true)
    await once(socket, 'connect')
    expect(getOption(socket, 'TCP_NODELAY')).toBe(true)
  })

  it.each([true, false])(
    'has no descriptor while its host name is looked up (autoSelectFamily %p)',
    async (autoSelectFamily) => {
      const socket = new net.Socket()
      destroyLater(socket)
      const lookup = new Promise<void>((resolve) => {
        socket.connect({
          host: 'a.test',
          port: 9,
          autoSelectFamily,
          lookup: () => {
            resolve()
          },
        })
      })
      expectRefused(socket, 'ERR_SOCKET_TUNER_NO_DESCRIPTOR', /wait for 'connect'/)
      await lookup
      expectRefused(socket, 'ERR_SOCKET_TUNER_NO_DESCRIPTOR', /wait for 'connect'/)
    },
  )

  it('is refused as soon as it is destroyed, like its descriptor number', async () => {
    const { client, accepted } = await connectedPair()
    client.destroy()
    expectRefused(client, 'ERR_SOCKET_TUNER_DESTROYED', /^The socket is destroyed$/)
    accepted.resume()
    await Promise.all([once(client, 'close'), once(accepted, 'end')])
    expectRefused(client, 'ERR_SOCKET_TUNER_DESTROYED', /^The socket is destroyed$/)
    // The number may belong to another socket now, which must not be found through the object.
    const fds = Array.from({ length: 8 }, () => tcpSocket())
    expectRefused(client, 'ERR_SOCKET_TUNER_DESTROYED', /^The socket is destroyed$/)
    expect(fds.map((fd) => getOption(fd, 'SO_KEEPALIVE'))).toEqual(fds.map(() => false))
  })

  it('is still usable after a half-close by end()', async () => {
    const { client } = await connectedPair()
    client.end()
    await once(client, 'finish')
    setOption(client, 'TCP_LINGER2', 10)
    expect(getOption(client, 'TCP_LINGER2')).toBe(10)
  })

  it('is refused as destroyed if it failed to connect', async () => {
    const server = net.createServer()
    const port = await listen(server)
    server.close()
    const socket = net.connect(port, loopback[4])
    await once(socket, 'close').catch(() => undefined)
    expectRefused(socket, 'ERR_SOCKET_TUNER_DESTROYED', /^The socket is destroyed$/)
  })

  it('has no descriptor if it is a TLS socket over a stream that is not a socket', () => {
    const stream = new Duplex({ read: () => undefined, write: () => undefined })
    const socket = tls.connect({ socket: stream })
    destroyLater(socket)
    expectRefused(socket, 'ERR_SOCKET_TUNER_NO_DESCRIPTOR', /runs over another stream/)
  })
})

describe('a net.Server', () => {
  it('has no handle if it does not listen', () => {
    expectRefused(net.createServer(), 'ERR_SOCKET_TUNER_NO_HANDLE', /not listening/)
  })

  it('has no handle after it was closed, even with an open connection', async () => {
    const { server, client } = await connectedPair()
    server.close()
    expectRefused(server, 'ERR_SOCKET_TUNER_NO_HANDLE', /close\(\)/)
    expect(getOption(client, 'SO_KEEPALIVE')).toBe(false)
  })

  it('belongs to the primary in a cluster worker, but its connections do not', async () => {
    const { get, set, tune: tuned, accepted } = await clusterWorker('round-robin')
    const shared = {
      name: 'SocketTunerError',
      code: 'ERR_SOCKET_TUNER_SHARED_HANDLE',
      message: expect.stringContaining('belongs to the primary process of the cluster') as string,
    }
    expect([get, set, tuned]).toEqual([shared, shared, shared])
    expect(accepted).toEqual({ value: { TCP_KEEPIDLE: { status: 'applied', value: 33 } } })
  })

  it('belongs to the worker in a cluster with SCHED_NONE', async () => {
    const { get, set, tune: tuned } = await clusterWorker('none')
    expect([get, set]).toEqual([{ value: true }, {}])
    expect(tuned).toEqual({ value: { TCP_NODELAY: { status: 'applied', value: true } } })
  })
})

async function clusterWorker(policy: string): Promise<Record<string, unknown>> {
  const program = join(__dirname, 'options', 'cluster-program.js')
  const { stdout } = await promisify(execFile)(process.execPath, [program, policy])
  return JSON.parse(stdout) as Record<string, unknown>
}

describe('an HTTP/2 session', () => {
  it('has no descriptor before it is connected', async () => {
    const server = http2.createServer()
    const port = await listen(server)
    const session = http2.connect(`http://127.0.0.1:${String(port)}`)
    closeLater(() => {
      session.destroy()
    })
    expectRefused(session, 'ERR_SOCKET_TUNER_NO_DESCRIPTOR', /not connected yet/)
    await once(session, 'connect')
    expect(getOption(session, 'SO_ACCEPTCONN')).toBe(false)
  })

  it('is refused after it was destroyed', async () => {
    const server = http2.createServer()
    const port = await listen(server)
    const session = http2.connect(`http://127.0.0.1:${String(port)}`)
    await once(session, 'connect')
    session.destroy()
    expectRefused(session, 'ERR_SOCKET_TUNER_DESTROYED', /session is destroyed/)
    await once(session, 'close')
    expectRefused(session, 'ERR_SOCKET_TUNER_DESTROYED', /session is destroyed/)
  })
})

describe('a dgram.Socket', () => {
  it('has no descriptor before it is bound', () => {
    const socket = dgram.createSocket('udp4')
    closeLater(() => {
      socket.close()
    })
    expectRefused(socket, 'ERR_SOCKET_TUNER_NO_DESCRIPTOR', /not bound yet/)
  })

  it('is refused after it was closed', async () => {
    const socket = dgram.createSocket('udp4').bind(0, loopback[4])
    await once(socket, 'listening')
    socket.close()
    expectRefused(socket, 'ERR_SOCKET_TUNER_DESTROYED', /closed/)
  })

  // Up to Node 24, reading `_handle` of a dgram.Socket emits DEP0112.
  it('causes no deprecation warning in Node', async () => {
    const program = `
      const tuner = require(${JSON.stringify(join(__dirname, '../dist'))})
      const socket = require('node:dgram').createSocket('udp4').bind(0, '127.0.0.1', async () => {
        const calls = {
          getOption: () => tuner.getOption(socket, 'SO_TYPE'),
          setOption: () => tuner.setOption(socket, 'SO_PRIORITY', 1),
          setHeld: () => tuner.setOption(socket, 'TCP_KEEPCNT', 1),
          tune: () => tuner.tune(socket, { SO_BROADCAST: true }),
          tuneHeld: () => tuner.tune(socket, { TCP_KEEPCNT: 1 }),
          queueSizes: () => tuner.queueSizes(socket),
          tcpInfo: () => tuner.tcpInfo(socket),
          setCloseMode: () => tuner.setCloseMode(socket, 'fin'),
          closeSocket: () => tuner.closeSocket(socket),
          tuneServer: () => tuner.tuneServer(socket),
        }
        const refused = []
        for (const [name, call] of Object.entries(calls)) {
          try {
            await call()
          } catch {
            refused.push(name)
          }
        }
        socket.close()
        console.log(refused.join())
      })`
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['-e', program])
    expect(stderr).toBe('')
    expect(stdout).toBe('setHeld,tuneHeld,tcpInfo,setCloseMode,closeSocket,tuneServer\n')
  })
})

describe('a descriptor number', () => {
  it.each([NaN, Infinity, -Infinity, 0.5, 1e-9, 3.000_000_1])(
    'is refused if it is not an integer: %d',
    (fd) => {
      expectRefused(fd, 'ERR_OUT_OF_RANGE', /^The value of "target" is out of range. It must be an/)
      expectRefused(
        { fd },
        'ERR_OUT_OF_RANGE',
        /^The value of "target.fd" is out of range. It must/,
      )
    },
  )

  it.each([-1, -(2 ** 31), -(2 ** 32), 2 ** 31, 2 ** 32, 2 ** 53, Number.MAX_VALUE])(
    'is refused if it is out of range: %d',
    (fd) => {
      const range = /is out of range. It must be >= 0 && <= 2147483647. Received /
      expectRefused(fd, 'ERR_OUT_OF_RANGE', range)
      expectRefused({ fd }, 'ERR_OUT_OF_RANGE', range)
    },
  )

  it.each([2 ** 31, 2 ** 32, 2 ** 33, 2 ** 52])(
    'is not truncated if it is too large by %d',
    (excess) => {
      const victim = tcpSocket()
      for (const wrong of [victim + excess, victim - excess, victim + excess + 0.5]) {
        expectRefused(wrong, 'ERR_OUT_OF_RANGE', /out of range/)
        expectRefused({ fd: wrong }, 'ERR_OUT_OF_RANGE', /out of range/)
      }
      expect(getOption(victim, 'SO_KEEPALIVE')).toBe(false)
    },
  )

  it('is not converted from another type', () => {
    const victim = tcpSocket()
    const wrong: unknown[] = [
      String(victim),
      BigInt(victim),
      new Number(victim),
      [victim],
      { valueOf: () => victim },
      { [Symbol.toPrimitive]: () => victim },
      () => victim,
    ]
    for (const target of wrong) expectRefused(target, 'ERR_INVALID_ARG_TYPE', /"target" argument/)
    for (const fd of wrong) expectRefused({ fd }, 'ERR_INVALID_ARG_TYPE', /"target.fd"/)
    expect(getOption(victim, 'SO_KEEPALIVE')).toBe(false)
  })

  it('is refused with EBADF if it is not open', () => {
    for (const fd of [closedDescriptor(), 2 ** 31 - 1]) {
      for (const [name, call] of calls) {
        const error = failureOf(() => call(fd))
        expect([name, error]).toMatchObject([name, { code: 'EBADF', errno: -9, fd }])
      }
    }
  })

  const others: readonly [what: string, open: () => number][] = [
    ['a file', () => temporarily(openSync(__filename, 'r'))],
    ['a folder', () => temporarily(openSync(__dirname, 'r'))],
    ['a device', () => temporarily(openSync('/dev/null', 'r+'))],
    ['a pipe', openPipe],
    ['an epoll instance', () => anonymous('eventpoll')],
    ['an eventfd', () => anonymous('eventfd')],
  ]
  it.each(others)('is refused with ENOTSOCK if it is that of %s', (_what, open) => {
    const fd = open()
    for (const [name, call] of calls) {
      if (name === 'queueSizes') continue
      const error = failureOf(() => call(fd))
      expect([name, error]).toMatchObject([name, { code: 'ENOTSOCK', errno: -88, fd }])
      expect(error.message).toMatch(/the descriptor is not a socket$/)
    }
  })

  // Pipes and terminals support FIONREAD and TIOCOUTQ too, and return ENOTTY for other requests.
  it.each(others)(
    'is refused with ENOTSOCK by queueSizes() too if it is that of %s',
    (_what, open) => {
      expect(failureOf(() => queueSizes(open()))).toMatchObject({ code: 'ENOTSOCK' })
    },
  )
})

function temporarily(fd: number): number {
  closeLater(() => {
    closeSync(fd)
  })
  return fd
}

function openPipe(): number {
  const path = socketPath()
  execFileSync('mkfifo', [path])
  return temporarily(openSync(path, constants.O_RDWR | constants.O_NONBLOCK))
}

/** Returns a descriptor that the event loop of this process has open. */
function anonymous(kind: string): number {
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${name}`) === `anon_inode:[${kind}]`) return Number(name)
    } catch {
      // The descriptor of the listing itself is gone by now.
    }
  }
  throw new Error(`this process has no ${kind}`)
}

describe('a value that is not a target', () => {
  const expected =
    /^The "target" argument must be a descriptor number or an instance of net.Socket, .* Received /
  it.each([
    undefined,
    null,
    true,
    '',
    'socket',
    Symbol('socket'),
    0n,
    {},
    [],
    () => 3,
    new Date(0),
    new Uint8Array(8),
    new Map(),
    Object.create(null) as unknown,
    { handle: { fd: 3 } },
    { _handle: null },
    { _handle: {} },
    { _handle: { fd: -1 } },
    { _handle: { fd: NaN } },
    { on: () => undefined, listen: () => undefined },
  ])('is refused: %p', (target) => {
    expectRefused(target, 'ERR_INVALID_ARG_TYPE', expected)
  })

  it.each(['fd', '_handle'])('is refused with the error of its getter of %s', (property) => {
    const target = Object.defineProperty({}, property, {
      enumerable: true,
      get: () => {
        throw new SyntaxError('mine')
      },
    })
    for (const [, call] of calls) {
      expect(failureOf(() => call(target as Target))).toMatchObject({ message: 'mine' })
    }
  })

  it('is refused with the error of its Proxy trap', () => {
    const target = new Proxy(
      {},
      {
        get: () => {
          throw new SyntaxError('mine')
        },
      },
    )
    for (const [, call] of calls) {
      expect(failureOf(() => call(target as Target))).toMatchObject({ message: 'mine' })
    }
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    for (const [, call] of calls) {
      expect(failureOf(() => call(proxy as Target))).toMatchObject({ name: 'TypeError' })
    }
  })

  it('does not include a Proxy of a socket, which is accepted', async () => {
    const { client } = await connectedPair()
    const proxy = new Proxy(client, {})
    setOption(proxy, 'TCP_KEEPIDLE', 33)
    expect(getOption(client, 'TCP_KEEPIDLE')).toBe(33)
  })
})

describe('an object with a descriptor', () => {
  it('has the descriptor read at every call', () => {
    const [a, b] = [tcpSocket(), tcpSocket()]
    const owner = { fd: a }
    setOption(owner, 'TCP_KEEPIDLE', 33)
    owner.fd = b
    setOption(owner, 'TCP_KEEPIDLE', 44)
    expect([getOption(a, 'TCP_KEEPIDLE'), getOption(b, 'TCP_KEEPIDLE')]).toEqual([33, 44])
  })

  it('has the descriptor read only once in a call', () => {
    const victim = tcpSocket()
    const fd = tcpSocket()
    let reads = 0
    const owner = {
      get fd(): number {
        return reads++ === 0 ? fd : victim
      },
    }
    for (const [, call] of calls) {
      reads = 0
      call(owner)
      expect(reads).toBe(1)
    }
    expect(getOption(victim, 'SO_KEEPALIVE')).toBe(false)
    expect(getOption(fd, 'SO_KEEPALIVE')).toBe(true)
  })

  // Handles are not validated in JavaScript. Native code refuses values that only look like one.
  const falseNumbers = (victim: number): unknown[] => [
    String(victim),
    victim + 2 ** 32,
    victim + 0.5,
    BigInt(victim),
  ]
  it.each(calls.filter(([name]) => name !== 'tune'))(
    'is refused by %s if its handle has no valid number',
    (_name, call) => {
      const victim = tcpSocket()
      for (const fd of falseNumbers(victim)) {
        const { code } = failureOf(() => call({ _handle: { fd } } as unknown as Target))
        expect(['EINVAL', 'ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE']).toContain(code)
      }
      expect(getOption(victim, 'SO_KEEPALIVE')).toBe(false)
    },
  )

  it('is refused by tune() if its handle has no valid number', () => {
    for (const fd of falseNumbers(tcpSocket())) {
      failureOf(() => tune({ _handle: { fd } } as unknown as Target, { SO_KEEPALIVE: true }))
    }
  })
})

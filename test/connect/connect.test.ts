import * as diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import * as net from 'node:net'
import { constants, release } from 'node:os'
import {
  SocketTunerError,
  SourcePool,
  closeSocket,
  connect,
  getOption,
  type ConnectOptions,
} from '../../lib'
import { native } from '../../lib/kernel/binding'
import { policyOf } from '../../lib/close/hooks'
import { portChoiceOf } from '../../lib/connect/port-choice'
import { handleOf } from '../../lib/node/handle'
import { coded } from '../helpers/coded'
import { freshPort } from '../helpers/fresh-port'
import { until } from '../helpers/until'
import { closeLater, destroyLater, fullListener, listen, loopback } from '../sockets'
import { errorOf, expectNoMoreThan, finalErrorOf, openDescriptors } from './descriptors'
import { lookupOf } from './peers'
import { FOREIGN } from '../helpers/foreign-address'

const wholeRange = portChoiceOf(process.platform, release()) === 'whole'

/** Starts a server that keeps its connections open and discards their input. */
async function serve(host: string = loopback[4]): Promise<number> {
  const server = net.createServer((socket) => {
    destroyLater(socket)
    socket.resume()
  })
  return listen(server, host)
}

/** Connects; the socket is destroyed after the test. */
function open(options: ConnectOptions): net.Socket {
  const socket = connect(options)
  destroyLater(socket)
  return socket
}

async function opened(options: ConnectOptions): Promise<net.Socket> {
  const socket = open(options)
  await once(socket, 'connect')
  return socket
}

/** Connects, and resolves with the error. Rejects if there is none. */
function failure(options: ConnectOptions): Promise<Error & Record<string, unknown>> {
  return finalErrorOf(open(options))
}

describe('connect()', () => {
  it.each([4, 6] as const)('sets options before connect(2) over IPv%i', async (family) => {
    const host = loopback[family]
    const port = await serve(host)
    const socket = await opened({ host, port, settings: { TCP_KEEPIDLE: 44, TCP_MAXSEG: 900 } })
    expect(socket).toBeInstanceOf(net.Socket)
    expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(44)
    // 900, less the 12 bytes of the timestamp option if it was negotiated.
    expect([888, 900]).toContain(getOption(socket, 'TCP_MAXSEG'))
    expect(socket.remoteAddress).toBe(host)
  })

  it('emits the same events in the same order as net.connect()', async () => {
    const port = await serve()
    const seen: string[] = []
    const published: unknown[] = []
    const subscriber = (message: unknown): void => {
      published.push((message as { socket: net.Socket }).socket)
    }
    diagnostics.subscribe('net.client.socket', subscriber)
    const socket = open({ host: 'one.test', port, lookup: lookupOf(loopback[4]) })
    diagnostics.unsubscribe('net.client.socket', subscriber)
    for (const event of ['lookup', 'connectionAttempt', 'connect', 'ready', 'close']) {
      socket.on(event, () => seen.push(event))
    }
    expect(socket.connecting).toBe(true)
    expect(socket.pending).toBe(true)
    await once(socket, 'ready')
    socket.destroy()
    await once(socket, 'close')
    expect(seen).toEqual(['lookup', 'connectionAttempt', 'connect', 'ready', 'close'])
    expect(published).toEqual([socket])
  })

  it('calls its listener, and sends data written before the connection', async () => {
    const server = net.createServer((socket) => {
      destroyLater(socket)
      socket.pipe(socket)
    })
    const port = await listen(server)
    const listener = jest.fn()
    const socket = connect({ host: 'localhost', port }, listener)
    destroyLater(socket)
    socket.setEncoding('utf8').write('early')
    const [text] = (await once(socket, 'data')) as [string]
    expect(text).toBe('early')
    expect(listener).toHaveBeenCalledTimes(1)
  })

  it('accepts noDelay, keepAlive, timeout and allowHalfOpen as net.connect() does', async () => {
    const port = await serve()
    const socket = await opened({
      host: loopback[4],
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 77_000,
      timeout: 20,
      allowHalfOpen: true,
    })
    expect(getOption(socket, 'TCP_NODELAY')).toBe(true)
    expect(getOption(socket, 'SO_KEEPALIVE')).toBe(true)
    expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(77)
    expect(socket.allowHalfOpen).toBe(true)
    await once(socket, 'timeout')
  })

  it('treats null and the empty string as absent, as net.connect() does', async () => {
    const port = await serve()
    const absent = { family: null, lookup: null, signal: null, localPort: null, blockList: null }
    const rest = { autoSelectFamily: null, autoSelectFamilyAttemptTimeout: null, path: '' }
    const settings = { TCP_KEEPIDLE: 44 }
    for (const localAddress of [null, '']) {
      const options = { ...absent, ...rest, localAddress, host: 'localhost', port, settings }
      const socket = await opened(options as unknown as ConnectOptions)
      expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(44)
    }
  })

  it('uses even and odd ports alike by default', async () => {
    const port = await serve()
    const socket = await opened({ host: loopback[4], port })
    const left = await opened({ host: loopback[4], port, portRange: 'kernel' })
    if (wholeRange) expect(getOption(socket, 'IP_LOCAL_PORT_RANGE')).toEqual({ min: 1, max: 65535 })
    expect(getOption(left, 'IP_LOCAL_PORT_RANGE')).toEqual({ min: 0, max: 0 })
  })

  it('connects from localAddress without reserving a port, and from localPort as net.connect() does', async () => {
    const port = await serve()
    const from = await opened({ host: loopback[4], port, localAddress: '127.0.0.7' })
    expect(from.localAddress).toBe('127.0.0.7')
    expect(getOption(from, 'IP_BIND_ADDRESS_NO_PORT')).toBe(true)
    const localPort = from.localPort ?? 0
    const fixed = await opened({ host: loopback[4], port, localAddress: '127.0.0.8', localPort })
    expect(fixed.localPort).toBe(localPort)
    expect(getOption(fixed, 'SO_REUSEADDR')).toBe(true)
  })

  it.each(['deliver', 'lingering', 'reset'] as const)(
    'sets close mode %s on the socket',
    async (mode) => {
      const port = await serve()
      const socket = await opened({
        host: 'localhost',
        port,
        close: { mode, deadlineMs: 77 },
      })
      expect(policyOf(socket)).toMatchObject({ options: { mode: { name: mode }, deadlineMs: 77 } })
      expect(await closeSocket(socket, 'deliver')).toMatchObject({ discardedBytes: 0 })
    },
  )

  it('returns a socket whose own connect() works again, without the settings', async () => {
    const port = await serve()
    const socket = await opened({ host: loopback[4], port, settings: { TCP_KEEPIDLE: 44 } })
    socket.destroy()
    await once(socket, 'close')
    socket.connect({ host: loopback[4], port })
    await once(socket, 'connect')
    expect(getOption(socket, 'TCP_KEEPIDLE')).not.toBe(44)
  })
})

describe('connect() by host name', () => {
  it('tries the next address with all settings if the first one refuses', async () => {
    const port = await serve()
    const events: string[] = []
    const lookup = lookupOf('127.0.0.66', loopback[4])
    const socket = open({ host: 'two.test', port, lookup, settings: { TCP_KEEPIDLE: 44 } })
    socket.on('lookup', (...[, address]: unknown[]) => events.push(`lookup ${String(address)}`))
    for (const event of ['connectionAttempt', 'connectionAttemptFailed', 'connect']) {
      socket.on(event, (address?: string) => events.push([event, address].join(' ').trim()))
    }
    await once(socket, 'connect')
    expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(44)
    expect(socket.remoteAddress).toBe(loopback[4])
    expect(events).toEqual([
      'lookup 127.0.0.66',
      `lookup ${loopback[4]}`,
      'connectionAttempt 127.0.0.66',
      'connectionAttemptFailed 127.0.0.66',
      `connectionAttempt ${loopback[4]}`,
      'connect',
    ])
    expect(socket).toMatchObject({
      autoSelectFamilyAttemptedAddresses: [
        `127.0.0.66:${String(port)}`,
        `127.0.0.1:${String(port)}`,
      ],
    })
  })

  it('reports every reason if every address fails', async () => {
    const port = await serve()
    const before = openDescriptors()
    const lookup = lookupOf('127.0.0.66', '127.0.0.67')
    const error = await failure({ host: 'dead.test', port, lookup })
    expect(error).toBeInstanceOf(AggregateError)
    expect(error.code).toBe('ECONNREFUSED')
    expect(error.errors).toMatchObject([{ address: '127.0.0.66' }, { address: '127.0.0.67' }])
    await expectNoMoreThan(before)
  })

  it('names the limit of descriptors if it is reached', async () => {
    const port = await serve()
    const before = openDescriptors()
    jest.spyOn(native, 'duplicateFd').mockReturnValue(-constants.errno.EMFILE)
    const error = await failure({
      host: 'two.test',
      port,
      lookup: lookupOf(loopback[4], '127.0.0.66'),
    })
    jest.restoreAllMocks()
    expect(error.code).toBe('EMFILE')
    expect(error.message).toMatch(
      /^connect EMFILE 127\.0\.0\.1:\d+: this process has reached its limit of (\d+ )?open descriptors \(RLIMIT_NOFILE\)\. Remedies: .*`ulimit -n`/,
    )
    await expectNoMoreThan(before)
  })

  it('leaves nothing open if it is destroyed between lookup and connect', async () => {
    const port = await serve()
    const before = openDescriptors()
    for (const addresses of [[loopback[4]], ['127.0.0.66', loopback[4]]]) {
      const socket = open({ host: 'x.test', port, lookup: lookupOf(...addresses) })
      socket.destroy()
      await once(socket, 'close')
      const later = open({ host: 'x.test', port, lookup: lookupOf(...addresses) })
      later.once('lookup', () => later.destroy())
      later.once('connectionAttempt', () => later.destroy())
      await once(later, 'close')
    }
    await expectNoMoreThan(before)
  })

  it.each<[string, net.LookupFunction, string]>([
    [
      'fails',
      (_h, _o, callback) => {
        callback(Object.assign(new Error('no such host'), { code: 'ENOTFOUND' }), '')
      },
      'ENOTFOUND',
    ],
    [
      'returns an invalid address',
      (_h, _o, callback) => {
        callback(null, 'nowhere', 4)
      },
      'ERR_INVALID_IP_ADDRESS',
    ],
  ])('emits the error of a lookup that %s', async (_, lookup, code) => {
    const before = openDescriptors()
    expect(await failure({ host: 'x.test', port: 9, lookup })).toMatchObject({ code })
    await expectNoMoreThan(before)
  })

  it('accepts a lookup that returns one address in the same tick', async () => {
    const port = await serve()
    const lookup: net.LookupFunction = (_host, _options, callback) => {
      callback(null, loopback[4], 4)
    }
    const settings = { TCP_KEEPIDLE: 44 }
    const socket = await opened({ host: 'x.test', port, lookup, settings })
    expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(44)
  })

  it('emits events for each address and each attempt', async () => {
    const port = fullListener('0.0.0.0')
    const lookup = lookupOf('127.0.0.1', '127.0.0.2')
    const socket = open({ host: 'x.test', port, lookup, autoSelectFamilyAttemptTimeout: 10 })
    // The second attempt begins before the first one has ended.
    const attempted: unknown[] = []
    await new Promise<void>((resolve) => {
      socket.on('connectionAttempt', (address: string) => {
        attempted.push(address)
        if (attempted.length === 2) resolve()
      })
    })
    expect(socket.connecting).toBe(true)
    expect(attempted).toEqual(['127.0.0.1', '127.0.0.2'])
  })

  it.each(['lookup', 'connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout'])(
    "leaves nothing open if it is destroyed in '%s'",
    async (event) => {
      // The first address never answers, the second one refuses, the third one has a server.
      const port = fullListener('127.0.0.65')
      const server = net.createServer(destroyLater)
      closeLater(() => server.close())
      server.listen(port, '127.0.0.67')
      await once(server, 'listening')
      const before = openDescriptors()
      const lookup = lookupOf('127.0.0.65', '127.0.0.66', '127.0.0.67')
      const socket = open({ host: 'x.test', port, lookup, autoSelectFamilyAttemptTimeout: 10 })
      socket.once(event, () => {
        socket.destroy()
      })
      await once(socket, 'close')
      expect(socket.connecting).toBe(false)
      await expectNoMoreThan(before)
    },
  )

  it('tries only the first address if autoSelectFamily is false, as net.connect() does', async () => {
    const port = await serve()
    const asked: unknown[] = []
    const lookup: net.LookupFunction = (_host, { all }, callback) => {
      asked.push(all)
      callback(null, '127.0.0.66', 4)
    }
    const options = { host: 'x.test', port, lookup, autoSelectFamily: false }
    expect(await failure(options)).toMatchObject({ code: 'ECONNREFUSED', address: '127.0.0.66' })
    expect(asked).toEqual([undefined])
  })

  it('does not connect to an address on a block list', async () => {
    const seen: unknown[] = []
    const server = net.createServer((socket) => {
      seen.push(socket.localAddress)
      destroyLater(socket)
    })
    const port = await listen(server, '0.0.0.0')
    const blockList = new net.BlockList()
    blockList.addAddress('127.0.0.66')
    const options = { port, blockList } as unknown as { port: number }
    const lookup = lookupOf('127.0.0.66', loopback[4])
    const socket = await opened({ ...options, host: 'x.test', lookup })
    expect(socket.remoteAddress).toBe(loopback[4])
    for (const host of ['127.0.0.66', 'y.test']) {
      const error = await failure({ ...options, host, lookup: lookupOf('127.0.0.66') })
      expect(error).toMatchObject({ code: 'ERR_IP_BLOCKED' })
    }
    await until(
      'the server has seen it',
      () => seen.length,
      (length) => length > 0,
    )
    expect(seen).toEqual([loopback[4]])
  })

  it("looks up addresses of the source's family", async () => {
    const port = await serve()
    const asked: unknown[] = []
    const lookup: net.LookupFunction = (host, options, callback) => {
      asked.push(options.family)
      lookupOf(loopback[4])(host, options, callback)
    }
    const socket = await opened({ host: 'x.test', port, lookup, source: '127.0.0.7' })
    expect(asked).toEqual([4])
    expect(socket.localAddress).toBe('127.0.0.7')
  })
})

type Answer = (callback: (...answer: unknown[]) => void, all: boolean) => void

const one = { address: loopback[4], family: 4 }
const answer = (all: boolean, address: unknown = loopback[4], family: unknown = 4): unknown[] =>
  all ? [[{ address, family }]] : [address, family]

describe("connect() with the caller's own lookup", () => {
  const answers: Record<string, Answer> = {
    'undefined as the error': (callback, all) => {
      callback(undefined, ...answer(all))
    },
    'false as the error': (callback, all) => {
      callback(false, ...answer(all))
    },
    'an array': (callback) => {
      callback(undefined, [one])
    },
    'no family': (callback, all) => {
      callback(null, ...answer(all, loopback[4], undefined))
    },
    'a family as a string': (callback, all) => {
      callback(null, ...answer(all, loopback[4], 'IPv4'))
    },
    'a family that is not the one of the address': (callback, all) => {
      callback(null, ...answer(all, loopback[4], 6))
    },
    'a host name': (callback, all) => {
      callback(null, ...answer(all, 'localhost'))
    },
    'null as the address': (callback, all) => {
      callback(null, ...answer(all, null))
    },
    'an address after an invalid one': (callback, all) => {
      callback(null, ...(all ? [[{ address: 'nowhere', family: 4 }, one]] : answer(all)))
    },
    'the same address twice': (callback, all) => {
      callback(null, ...(all ? [[one, one]] : answer(all)))
    },
    'an error': (callback) => {
      callback(Object.assign(new Error('no such host'), { code: 'ENOTFOUND' }))
    },
  }
  const moments: Record<string, (action: () => void) => void> = {
    'in the same tick': (action) => {
      action()
    },
    'in a later tick': setImmediate,
  }
  const cases = Object.keys(answers).flatMap((name) =>
    Object.keys(moments).flatMap((moment) =>
      [undefined, 4 as const].map((family) => [name, moment, family] as const),
    ),
  )

  /** Resolves with 'connect' or the code of the error. */
  async function outcome(socket: net.Socket): Promise<string> {
    destroyLater(socket)
    return new Promise((resolve) => {
      socket.once('connect', () => {
        resolve('connect')
      })
      socket.once('error', (error: NodeJS.ErrnoException) => {
        resolve(error.code ?? error.message)
      })
    })
  }

  it.each(cases)(
    'has the same outcome as net.connect() if the lookup returns %s (%s, family %s)',
    async (name, moment, family) => {
      const port = await serve()
      const lookup = ((_host, { all = false }, callback) => {
        moments[moment]?.(() => {
          answers[name]?.(callback as (...answer: unknown[]) => void, all)
        })
      }) as net.LookupFunction
      const options = { host: 'x.test', port, lookup, family }
      const own = await outcome(connect(options))
      // net.connect() fails on an array unless it looked up all addresses.
      if (name === 'an array' && family === 4) expect(own).toBe('connect')
      else expect(own).toBe(await outcome(net.connect(options)))
    },
  )

  it.each([[undefined], [[]], [[null]]])('refuses %j as a list of addresses', async (found) => {
    const lookup = ((_host, _options, callback) => {
      callback(null, found as never)
    }) as net.LookupFunction
    expect(await failure({ host: 'x.test', port: 9, lookup })).toMatchObject({
      code: 'ERR_INVALID_IP_ADDRESS',
    })
  })

  it('ignores all but the first call of the callback', async () => {
    const port = await serve()
    const before = openDescriptors()
    for (const addresses of [[one], [one, { address: '127.0.0.66', family: 4 }]]) {
      const lookup: net.LookupFunction = (_host, _options, callback) => {
        callback(null, addresses)
        callback(new Error('late'), '')
        callback(null, [{ address: '127.0.0.77', family: 4 }])
      }
      const socket = await opened({ host: 'x.test', port, lookup })
      expect(socket.remoteAddress).toBe(loopback[4])
      socket.destroy()
      await once(socket, 'close')
    }
    await expectNoMoreThan(before)
  })
})

describe('connect() from a SourcePool', () => {
  it('spreads connections over the addresses, and releases each when it is closed', async () => {
    const port = await serve()
    const source = new SourcePool(['127.0.0.2', '127.0.0.3'])
    const sockets = []
    for (let i = 0; i < 6; i++) {
      sockets.push(await opened({ host: loopback[4], port, source, close: 'deliver' }))
    }
    const counts = () => source.usage(loopback[4], port).map(({ open }) => open)
    expect(counts()).toEqual([3, 3])
    expect(sockets.filter(({ localAddress }) => localAddress === '127.0.0.2')).toHaveLength(3)
    for (const socket of sockets) {
      socket.destroy()
      await once(socket, 'close')
    }
    expect(source.usage(loopback[4], port)).toMatchObject([
      { open: 0, timeWait: 0 },
      { open: 0, timeWait: 0 },
    ])
  })

  it('counts the TIME_WAIT entries of its connections', async () => {
    const port = await serve()
    const source = new SourcePool(['127.0.0.2'])
    const socket = await opened({ host: loopback[4], port, source })
    socket.destroy()
    await once(socket, 'close')
    expect(source.usage(loopback[4], port)).toMatchObject([{ open: 0, timeWait: 1 }])
  })

  it('releases the address if nothing answers', async () => {
    const port = await serve()
    const source = new SourcePool(['127.0.0.2', '127.0.0.3'])
    expect(await failure({ host: '127.0.0.66', port, source })).toMatchObject({
      code: 'ECONNREFUSED',
    })
    const lookup = lookupOf('127.0.0.66', '127.0.0.67')
    expect(await failure({ host: 'x.test', port, source, lookup })).toMatchObject({
      code: 'ECONNREFUSED',
    })
    for (const host of ['127.0.0.66', '127.0.0.67']) {
      expect(source.usage(host, port)).toMatchObject([
        { open: 0, timeWait: 0 },
        { open: 0, timeWait: 0 },
      ])
    }
  })

  it('uses another address if no port is free', async () => {
    const port = await serve()
    const source = new SourcePool(['127.0.0.2', '127.0.0.3'])
    const free = await freshPort()
    const portRange = { min: free, max: free }
    const host = loopback[4]
    const first = await opened({ host, port, source, portRange })
    const second = await opened({ host, port, source, portRange })
    expect([first.localAddress, second.localAddress].toSorted()).toEqual(source.addresses)
    const error = await failure({ host, port, source, portRange })
    expect(error).toBeInstanceOf(SocketTunerError)
    expect(error).toMatchObject({ code: 'EADDRNOTAVAIL', syscall: 'connect', space: 'tuple' })
    expect(error.message).toContain('from each of the 2 source addresses')
  })
})

describe('connect() without a free port', () => {
  it('reports that all ports from the source to the destination are in use, and names the fixes', async () => {
    const port = await serve()
    const host = loopback[4]
    const free = await freshPort()
    const portRange = { min: free, max: free }
    const options = { host, port, localAddress: '127.0.0.7', portRange }
    await opened(options)
    const error = await failure(options)
    expect(error).toMatchObject({
      code: 'EADDRNOTAVAIL',
      syscall: 'connect',
      address: host,
      port,
      localAddress: '127.0.0.7',
      space: 'tuple',
      timeWait: expect.any(Number) as number,
    })
    expect(error.message).toMatch(
      /^connect EADDRNOTAVAIL 127\.0\.0\.1:\d+ - Local \(127\.0\.0\.7:0\): all ports of the range from 127\.0\.0\.7 to 127\.0\.0\.1:\d+ are in use; \d+ sockets of this network namespace are in TIME_WAIT\. Remedies: .*close: 'deliver'.*SourcePool/,
    )
  })

  it('reports that the requested port already has a connection to the destination', async () => {
    const port = await serve()
    const host = loopback[4]
    const localPort = await freshPort()
    await opened({ host, port, localAddress: '127.0.0.7', localPort })
    const error = await failure({ host, port, localAddress: '127.0.0.7', localPort })
    expect(error).toMatchObject({ code: 'EADDRNOTAVAIL', space: 'tuple', localPort })
    expect(error.message).toContain('already exists')
  })

  it('reports that another socket is bound to the port', async () => {
    const port = await serve()
    const error = await failure({
      host: loopback[4],
      port,
      localAddress: loopback[4],
      localPort: port,
    })
    expect(error).toMatchObject({ code: 'EADDRINUSE', syscall: 'bind', space: 'bind', port })
  })

  it('reports that the source is not an address of this host', async () => {
    const before = openDescriptors()
    const error = await failure({ host: loopback[4], port: 9, localAddress: FOREIGN })
    expect(error).toMatchObject({ code: 'EADDRNOTAVAIL', syscall: 'bind', address: FOREIGN })
    expect(error.message).toContain(`${FOREIGN} is not an address of this host`)
    await expectNoMoreThan(before)
  })
})

describe('a socket of connect()', () => {
  const host = loopback[4]

  it('fails with AbortError if its signal was aborted before', async () => {
    const port = await serve()
    const before = openDescriptors()
    expect(await failure({ host, port, signal: AbortSignal.abort() })).toMatchObject({
      name: 'AbortError',
    })
    await expectNoMoreThan(before)
  })

  it.each(['lookup', 'connect'])(
    "fails with AbortError if its signal is aborted in '%s'",
    async (event) => {
      const port = await serve()
      const controller = new AbortController()
      const { signal } = controller
      const source = new SourcePool(['127.0.0.2'])
      const socket = open({ host: 'x.test', port, signal, source, lookup: lookupOf(host) })
      socket.once(event, () => {
        controller.abort()
      })
      const errors: Error[] = []
      socket.on('error', (error) => errors.push(error))
      await new Promise((resolve) => socket.once('close', resolve))
      expect(errors).toMatchObject([{ name: 'AbortError', code: 'ABORT_ERR' }])
      expect(source.usage(host, port)[0]?.open).toBe(0)
    },
  )

  it.each([[[loopback[4]]], [['127.0.0.1', '127.0.0.2']]])(
    'fails with AbortError if its signal is aborted while %j do not answer',
    async (addresses) => {
      const port = fullListener('0.0.0.0')
      const before = openDescriptors()
      const controller = new AbortController()
      const { signal } = controller
      const lookup = lookupOf(...addresses)
      const autoSelectFamilyAttemptTimeout = 10
      const options = { host: 'x.test', port, signal, lookup, autoSelectFamilyAttemptTimeout }
      const socket = open(options)
      await until(
        'it has begun to connect',
        openDescriptors,
        (open) => open === before + addresses.length,
      )
      controller.abort()
      const error = await errorOf(socket)
      expect(error.name).toBe('AbortError')
      await expectNoMoreThan(before)
    },
  )

  it('leaves nothing open if it is destroyed while it connects', async () => {
    const port = await serve()
    const before = openDescriptors()
    for (let i = 0; i < 20; i++) {
      const socket = open({ host, port, close: 'deliver' })
      if (i % 2 === 0) await once(socket, 'connectionAttempt')
      socket.destroy()
      await once(socket, 'close')
    }
    await expectNoMoreThan(before)
  })
})

describe('connect() with invalid arguments', () => {
  const port = 9
  const host = loopback[4]
  const pool = new SourcePool(['127.0.0.2'])
  const cases: [string, unknown, string][] = [
    ['no options', undefined, 'ERR_INVALID_ARG_TYPE'],
    ['null', null, 'ERR_INVALID_ARG_TYPE'],
    ['a port out of range', { host, port: 65_536 }, 'ERR_SOCKET_BAD_PORT'],
    ['a fractional port', { host, port: 80.5 }, 'ERR_SOCKET_BAD_PORT'],
    ['no port', { host }, 'ERR_MISSING_ARGS'],
    ['an unknown family', { host, port, family: 5 }, 'ERR_INVALID_ARG_VALUE'],
    ['a family as a string', { host, port, family: 'ipv4' }, 'ERR_INVALID_ARG_VALUE'],
    ['a local port out of range', { host, port, localPort: -1 }, 'ERR_OUT_OF_RANGE'],
    ['a fractional local port', { host, port, localPort: 1.5 }, 'ERR_OUT_OF_RANGE'],
    ['a local port as a string', { host, port, localPort: '80' }, 'ERR_INVALID_ARG_TYPE'],
    ['an invalid local address', { host, port, localAddress: 'here' }, 'ERR_INVALID_ARG_VALUE'],
    [
      'a local address of the other family',
      { host, port, localAddress: '::1' },
      'ERR_SOCKET_TUNER_ADDRESS_FAMILY',
    ],
    [
      'a source of the other family',
      { host: '::1', port, source: host },
      'ERR_SOCKET_TUNER_ADDRESS_FAMILY',
    ],
    [
      'a pool of the other family',
      { host: '::1', port, source: pool },
      'ERR_SOCKET_TUNER_ADDRESS_FAMILY',
    ],
    [
      'a source against family',
      { host: 'localhost', family: 6, port, source: pool },
      'ERR_SOCKET_TUNER_ADDRESS_FAMILY',
    ],
    ['a source that is a number', { host, port, source: 7 }, 'ERR_INVALID_ARG_TYPE'],
    [
      'a source and a localAddress',
      { host, port, source: pool, localAddress: host },
      'ERR_INVALID_ARG_VALUE',
    ],
    [
      'a pool and a localPort',
      { host, port, source: pool, localPort: 8000 },
      'ERR_INVALID_ARG_VALUE',
    ],
    [
      'an unknown setting',
      { host, port, settings: { NO_SUCH: 1 } },
      'ERR_SOCKET_TUNER_UNKNOWN_OPTION',
    ],
    [
      'a setting of the wrong type',
      { host, port, settings: { TCP_NODELAY: 1 } },
      'ERR_INVALID_ARG_TYPE',
    ],
    ['settings that are no object', { host, port, settings: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ['an unknown close mode', { host, port, close: 'gently' }, 'ERR_INVALID_ARG_VALUE'],
    [
      'a port range upside down',
      { host, port, portRange: { min: 50_000, max: 40_000 } },
      'ERR_OUT_OF_RANGE',
    ],
    [
      "a port range outside of the system's",
      { host, port, portRange: { min: 1, max: 65_535 } },
      'ERR_OUT_OF_RANGE',
    ],
    ['a port range that is a word', { host, port, portRange: 'all' }, 'ERR_INVALID_ARG_TYPE'],
    [
      'a port range twice',
      {
        host,
        port,
        portRange: { min: 60_000, max: 60_001 },
        settings: { IP_LOCAL_PORT_RANGE: { min: 60_000, max: 60_001 } },
      },
      'ERR_INVALID_ARG_VALUE',
    ],
    ['an invalid signal', { host, port, signal: {} }, 'ERR_INVALID_ARG_TYPE'],
    [
      'a lookup that is not a function',
      { host: 'x.test', port, lookup: 'dns' },
      'ERR_INVALID_ARG_TYPE',
    ],
    ['an invalid block list', { host, port, blockList: [host] }, 'ERR_INVALID_ARG_TYPE'],
    ['autoSelectFamily as a number', { host, port, autoSelectFamily: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [
      'an attempt timeout of 0',
      { host, port, autoSelectFamilyAttemptTimeout: 0 },
      'ERR_OUT_OF_RANGE',
    ],
    ['a descriptor', { host, port, fd: 0 }, 'ERR_INVALID_ARG_VALUE'],
    ['a handle', { host, port, handle: {} }, 'ERR_INVALID_ARG_VALUE'],
    [
      'an option that Linux lacks',
      { host, port, settings: { IP_BOUND_IF: 1 } },
      'ERR_SOCKET_TUNER_UNSUPPORTED',
    ],
  ]

  it.each(cases)('throws for %s, and opens nothing', (_, options, code) => {
    const before = openDescriptors()
    expect(() => connect(options as ConnectOptions)).toThrow(coded(code))
    expect(openDescriptors()).toBe(before)
  })

  it('emits an error for a setting that the kernel refuses', async () => {
    const before = openDescriptors()
    const settings = { TCP_CONGESTION: 'no_such_one' }
    expect(await failure({ host, port, settings })).toMatchObject({
      code: 'ENOENT',
      option: 'TCP_CONGESTION',
    })
    expect(await failure({ host, port, settings: { IPV6_V6ONLY: true } })).toMatchObject({
      code: 'ERR_SOCKET_TUNER_WRONG_SOCKET',
    })
    await expectNoMoreThan(before)
  })

  it("emits Node's own error if the destination refuses", async () => {
    const port = await serve()
    const error = await failure({ host: '127.0.0.66', port, settings: { TCP_KEEPIDLE: 44 } })
    expect(error).not.toBeInstanceOf(SocketTunerError)
    expect(error).toMatchObject({
      message: `connect ECONNREFUSED 127.0.0.66:${String(port)}`,
      code: 'ECONNREFUSED',
      syscall: 'connect',
      address: '127.0.0.66',
      port,
    })
  })
})

// Deleting a property would make V8 turn the handle into a hash table, which slows down each read and write.
it('connect() restores the own methods of the handle and deletes none', async () => {
  const socket = connect({ port: await serve(), host: loopback[4] })
  destroyLater(socket)
  const handle = handleOf(socket) ?? {}
  await once(socket, 'connect')
  for (const name of ['connect', 'connect6']) {
    expect(Object.hasOwn(handle, name)).toBe(true)
    const own: unknown = Reflect.get(Object.getPrototypeOf(handle) as object, name)
    expect(Reflect.get(handle, name)).toBe(own)
  }
})

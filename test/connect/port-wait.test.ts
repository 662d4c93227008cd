import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import { constants as os } from 'node:os'
import {
  closeModeNames,
  closeSocket,
  Connector,
  connect,
  prepareSocket,
  type ConnectOptions,
} from '../../lib'
import { TunedAgent } from '../../lib/clients/http'
import { tunedConnector } from '../../lib/clients/undici'
import { native } from '../../lib/kernel/binding'
import { portWaitTotals } from '../../lib/ports'
import { coded } from '../helpers/coded'
import { newSource, untilWaiting, useAllPorts, type FullPorts } from '../helpers/full-ports'
import { until } from '../helpers/until'
import { closeLater, destroyLater, listen } from '../sockets'
import { errorOf, expectNoMoreThan, openDescriptors } from './descriptors'

const host = '127.0.0.1'
const LONG_MS = 600_000

/** Uses up all ports of a source towards a server. */
async function fill(server: net.Server = net.createServer(destroyLater)): Promise<FullPorts> {
  return useAllPorts(host, await listen(server))
}

function open(options: ConnectOptions): net.Socket {
  const socket = connect(options)
  destroyLater(socket)
  return socket
}

describe('connect({ portWaitMs })', () => {
  // Sockets of the previous test may not have emitted 'close' yet.
  beforeEach(() => untilWaiting({ waiting: 0 }, 0))

  it('waits for a port, and serves connections in the order of their arrival', async () => {
    const { options, release } = await fill()
    const before = portWaitTotals()
    const order: number[] = []
    const waiting = Array.from({ length: 3 }, (_, index) => {
      const socket = open({ ...options, portWaitMs: LONG_MS })
      socket.once('connect', () => order.push(index))
      return socket
    })
    await untilWaiting(before, 3)
    expect(waiting.every(({ connecting }) => connecting)).toBe(true)
    for (const [index, socket] of waiting.entries()) {
      expect(order).toHaveLength(index)
      const freed = release()
      await once(socket, 'connect')
      expect(socket.localPort).toBe(freed)
    }
    expect(order).toEqual([0, 1, 2])
    expect(portWaitTotals()).toEqual({ ...before, served: before.served + 3 })
  })

  it('queues behind waiting connections even if a port is free by then', async () => {
    const { options, held, release } = await fill()
    const before = portWaitTotals()
    const order: string[] = []
    /** Connects, notes the name, and frees the port for the next connection. */
    const wait = async (name: string): Promise<void> => {
      const socket = open({ ...options, portWaitMs: LONG_MS })
      await once(socket, 'connect')
      order.push(name)
      socket.resetAndDestroy()
    }
    const first = wait('first')
    await untilWaiting(before, 1)
    const ended = held.at(-1)
    release()
    if (ended !== undefined) await once(ended, 'close')
    await Promise.all([first, wait('second')])
    expect(order).toEqual(['first', 'second'])
  })

  it('waits only for ports of its own source, range and destination', async () => {
    const { options } = await fill()
    const before = portWaitTotals()
    const patient = { ...options, portWaitMs: LONG_MS }
    open(patient)
    await untilWaiting(before, 1)
    const other = await listen(net.createServer(destroyLater))
    for (const own of [{ source: newSource() }, { port: other }, { portRange: undefined }])
      await once(open({ ...patient, ...own }), 'connect')
    expect(portWaitTotals()).toEqual({ ...before, waiting: before.waiting + 1 })
  })

  it('sends data written while it waited', async () => {
    const received: string[] = []
    const server = net.createServer((socket) => {
      destroyLater(socket)
      socket.setEncoding('utf8').on('data', (text) => received.push(String(text)))
    })
    const { options, release } = await fill(server)
    const socket = open({ ...options, portWaitMs: LONG_MS })
    socket.write('written while it waited')
    await untilWaiting({ waiting: portWaitTotals().waiting - 1 }, 1)
    release()
    await until(
      'it has come',
      () => received,
      (texts) => texts.join('') === 'written while it waited',
    )
  })

  it('fails when its time is over, and says that none became free', async () => {
    const { options } = await fill()
    const before = portWaitTotals()
    const error = await errorOf(open({ ...options, portWaitMs: 20 }))
    expect(error).toMatchObject({
      code: 'EADDRNOTAVAIL',
      syscall: 'connect',
      space: 'tuple',
      message: expect.stringContaining(
        'are in use, and none became free within 20 ms (portWaitMs)',
      ) as string,
    })
    expect(portWaitTotals()).toEqual({ ...before, expired: before.expired + 1 })
  })

  it('fails with the error of bind(2) if its source is removed while it waits', async () => {
    const { options } = await fill()
    const before = portWaitTotals()
    const socket = open({ ...options, portWaitMs: LONG_MS })
    await untilWaiting(before, 1)
    const bind = jest.spyOn(native, 'bindFd').mockReturnValue(-os.errno.EADDRNOTAVAIL)
    try {
      expect(await errorOf(socket)).toMatchObject({
        code: 'EADDRNOTAVAIL',
        syscall: 'bind',
        message: expect.stringContaining('is not an address of this host') as string,
      })
    } finally {
      bind.mockRestore()
    }
    expect(portWaitTotals()).toEqual({ ...before, served: before.served + 1 })
  })

  it('fails at once without the option, even while others wait', async () => {
    const { options } = await fill()
    const before = portWaitTotals()
    open({ ...options, portWaitMs: LONG_MS })
    await untilWaiting(before, 1)
    for (const own of [{}, { portWaitMs: 0 }])
      expect(await errorOf(open({ ...options, ...own }))).toEqual(coded('EADDRNOTAVAIL'))
  })

  it.each<[string, (socket: net.Socket, abort: AbortController) => void]>([
    ['destroyed', (socket) => socket.destroy()],
    ['destroyed with an error', (socket) => socket.destroy(new Error('enough'))],
    [
      'aborted',
      (_, abort) => {
        abort.abort()
      },
    ],
  ])('leaves the queue and closes its descriptor when it is %s', async (_, end) => {
    const { options, release } = await fill()
    const descriptors = openDescriptors()
    const before = portWaitTotals()
    const abort = new AbortController()
    const patient = { ...options, portWaitMs: LONG_MS, close: 'deliver' as const }
    const gone = open({ ...patient, signal: abort.signal }).on('error', () => undefined)
    await untilWaiting(before, 1)
    const next = open(patient)
    await untilWaiting(before, 2)
    const closed = new Promise((resolve) => gone.once('close', resolve))
    end(gone, abort)
    await closed
    expect(portWaitTotals()).toMatchObject({
      waiting: before.waiting + 1,
      abandoned: before.abandoned + 1,
    })
    release()
    await once(next, 'connect')
    next.destroy()
    await expectNoMoreThan(descriptors)
  })

  it.each(closeModeNames)('is closed by closeSocket() in mode %s', async (mode) => {
    const { options } = await fill()
    const descriptors = openDescriptors()
    const before = portWaitTotals()
    const socket = open({ ...options, portWaitMs: LONG_MS })
    await untilWaiting(before, 1)
    const closed = once(socket, 'close')
    expect(await closeSocket(socket, mode)).toMatchObject({
      discardedBytes: 0,
      timeWait: 'avoided',
    })
    await closed
    await untilWaiting(before, 0)
    expect(portWaitTotals()).toEqual({ ...before, abandoned: before.abandoned + 1 })
    await expectNoMoreThan(descriptors)
  })

  it('does not wait for a destination that refuses', async () => {
    const server = net.createServer()
    const port = await listen(server)
    server.close()
    await once(server, 'close')
    const before = portWaitTotals()
    const options = { host, port, source: newSource(), portWaitMs: LONG_MS }
    expect(await errorOf(open(options))).toEqual(coded('ECONNREFUSED'))
    expect(portWaitTotals()).toEqual(before)
  })

  it('tries the other addresses of a host in the meantime', async () => {
    const { options } = await fill()
    const other = net.createServer(destroyLater)
    other.listen(options.port, '127.0.0.2')
    closeLater(() => other.close())
    await once(other, 'listening')
    const before = portWaitTotals()
    const lookup: net.LookupFunction = (_name, _options, callback) => {
      callback(null, [
        { address: host, family: 4 },
        { address: '127.0.0.2', family: 4 },
      ])
    }
    const named = { host: 'two.test', lookup, autoSelectFamily: true }
    const socket = open({ ...options, ...named, portWaitMs: LONG_MS })
    await once(socket, 'connect')
    expect(socket.remoteAddress).toBe('127.0.0.2')
    await untilWaiting(before, 0)
    expect(portWaitTotals()).toEqual({ ...before, abandoned: before.abandoned + 1 })
  })

  it('does not wait while another address of a pool has a free port', async () => {
    const { options, release } = await fill()
    const before = portWaitTotals()
    const source = [options.source, newSource()]
    const port = options.port
    const several = { ...options, source, portWaitMs: LONG_MS }
    const sockets: net.Socket[] = []
    // All ports of the second address, and one more connection.
    for (let i = 0; i < options.portRange.max - options.portRange.min + 2; i++)
      sockets.push(open(several))
    await until(
      'some wait',
      () => portWaitTotals().waiting - before.waiting,
      (waiting) => waiting > 0 && waiting === sockets.filter(({ connecting }) => connecting).length,
    )
    const connected = sockets.filter(({ connecting }) => !connecting)
    expect(connected.every(({ localAddress }) => localAddress === source[1])).toBe(true)
    const freed = release()
    const [next] = sockets.filter(({ connecting }) => connecting)
    if (next !== undefined) await once(next, 'connect')
    expect(next).toMatchObject({ localAddress: source[0], localPort: freed, remotePort: port })
  })

  it('applies to a Connector and to a socket that connects later', async () => {
    const { options, release } = await fill()
    const { host: to, port, ...tuning } = options
    const before = portWaitTotals()
    const connector = new Connector({ ...tuning, portWaitMs: LONG_MS })
    const one = connector.connect({ host: to, port })
    const two = prepareSocket({ ...tuning, portWaitMs: LONG_MS })
    destroyLater(one)
    destroyLater(two)
    await untilWaiting(before, 1)
    two.connect({ host: to, port })
    await untilWaiting(before, 2)
    release()
    await once(one, 'connect')
    release()
    await once(two, 'connect')
  })

  it('applies to the requests of an agent, and to undici', async () => {
    const server = http.createServer((_, response) => response.end('answer'))
    server.on('connection', destroyLater)
    const { options, release } = await fill(server)
    const { source, portRange, port } = options
    const before = portWaitTotals()
    const agent = new TunedAgent({ source, portRange, portWaitMs: LONG_MS, keepAlive: false })
    const request = http.get({ host, port, agent })
    await untilWaiting(before, 1)
    release()
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    expect(response.statusCode).toBe(200)
    const connector = tunedConnector({ source, portRange, portWaitMs: LONG_MS })
    const asked = { hostname: host, port: String(port), protocol: 'http:' }
    const connected = new Promise<net.Socket>((resolve, reject) => {
      connector(asked, (error, socket) => {
        if (error === null) resolve(socket)
        else reject(error)
      })
    })
    destroyLater(await connected)
  })

  it('applies to the connections that minIdle opens', async () => {
    const server = http.createServer((_, response) => response.end('answer'))
    server.on('connection', destroyLater)
    const { options, release } = await fill(server)
    const { source, portRange, port } = options
    const before = portWaitTotals()
    const agent = new TunedAgent({ source, portRange, portWaitMs: LONG_MS, minIdle: 1 })
    closeLater(() => {
      agent.destroy()
    })
    const warmed = agent.warm({ host, port })
    await untilWaiting(before, 1)
    expect(agent.counters()).toMatchObject({ created: 1, warmed: 0, warmFailed: 0 })
    release()
    await warmed
    expect(agent.counters()).toMatchObject({ created: 1, warmed: 1 })
  })

  it.each<[string, object, string]>([
    ['a local port', { localPort: 50_000 }, 'ERR_INVALID_ARG_VALUE'],
    ['a path', { path: '/nowhere' }, 'ERR_INVALID_ARG_VALUE'],
    ['a negative time', { portWaitMs: -1 }, 'ERR_OUT_OF_RANGE'],
    ['a time that is too long for a timer', { portWaitMs: 2 ** 31 }, 'ERR_OUT_OF_RANGE'],
    ['a time as a string', { portWaitMs: '5s' }, 'ERR_INVALID_ARG_TYPE'],
  ])('throws for %s', (_, own, code) => {
    expect(() => connect({ host, port: 9, portWaitMs: 100, ...own })).toThrow(coded(code))
  })
})

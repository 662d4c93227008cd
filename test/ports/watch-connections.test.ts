import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import * as net from 'node:net'
import { constants as os } from 'node:os'
import { promisify } from 'node:util'
import { native } from '../../lib/kernel/binding'
import {
  watchConnections,
  type ConnectionWatch,
  type EndedConnection,
  type WatchConnectionsOptions,
} from '../../lib/ports'
import { until } from '../helpers/until'
import { closeLater, failureOf } from '../sockets'

// Only Linux reports ended sockets.
const linux = process.platform === 'linux' ? describe : describe.skip

afterEach(() => {
  jest.restoreAllMocks()
})

function watch(options: WatchConnectionsOptions = {}): {
  watch: ConnectionWatch
  found: EndedConnection[]
} {
  const found: EndedConnection[] = []
  const started = watchConnections({ onConnection: (each) => found.push(each), ...options })
  closeLater(() => {
    started.stop()
  })
  return { watch: started, found }
}

/** A server that sends a greeting, and closes after its clients. */
async function serve(host = '127.0.0.1'): Promise<{ server: net.Server; port: number }> {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined)
    socket.resume().write('welcome')
  })
  await once(server.listen(0, host), 'listening')
  closeLater(() => {
    server.close()
  })
  return { server, port: (server.address() as net.AddressInfo).port }
}

/** Makes a connection that sends `hello`, and ends it by `end`. */
async function connectAndEnd(
  port: number,
  host = '127.0.0.1',
  end: (socket: net.Socket) => void = (socket) => socket.end(),
): Promise<number> {
  const socket = net.connect(port, host)
  await once(socket, 'connect')
  const { localPort = 0 } = socket
  socket.write('hello')
  await once(socket, 'data')
  socket.resume()
  end(socket)
  if (!socket.closed) await once(socket, 'close')
  return localPort
}

/**
 * Ends connections by `act` until the watch has reported one. Without privileges its receive buffer is small, other tests
 * may fill it, and a report that is lost never comes.
 *
 * @param find returns what was reported of the connection that `act` has made
 */
async function untilReported<Made, Found>(
  running: ConnectionWatch,
  act: () => Promise<Made>,
  find: (made: Made) => Found | undefined,
): Promise<Found> {
  for (;;) {
    const { lost } = running.counters()
    const made = await act()
    const { found } = await until(
      'a report, or a loss',
      () => ({ found: find(made), isLost: running.counters().lost > lost }),
      ({ found: report, isLost }) => report !== undefined || isLost,
    )
    if (found !== undefined) return found
  }
}

/** Makes looks come exactly at their interval, until jest.restoreAllMocks(). */
function looksCostNothing(): jest.SpyInstance {
  const list = native.listSockets.bind(native)
  jest.spyOn(process, 'cpuUsage').mockReturnValue({ user: 0, system: 0 })
  return jest.spyOn(native, 'listSockets').mockImplementation((states, done) =>
    list(states, (records) => {
      done(records, 0)
    }),
  )
}

linux('watchConnections()', () => {
  it('reports both ends of a connection with what they moved', async () => {
    const { port } = await serve()
    const { watch: running, found } = watch({ filter: { remoteAddress: '127.0.0.1' } })
    const { client, server, localPort } = await untilReported(
      running,
      () => connectAndEnd(port),
      (made) => {
        const one = found.find((each) => each.localPort === made && each.remotePort === port)
        const other = found.find((each) => each.localPort === port && each.remotePort === made)
        return one && other && { client: one, server: other, localPort: made }
      },
    )
    const common = { localAddress: '127.0.0.1', remoteAddress: '127.0.0.1' }
    expect(client).toMatchObject({ ...common, remotePort: port, bytesSent: 5, end: 'fin' })
    expect(server).toMatchObject({ ...common, remotePort: localPort, bytesSent: 7 })
    // Both FINs, and the SYN of the client, count as a byte.
    expect([client.bytesAcked, client.bytesReceived]).toEqual([7, 8])
    expect([server.bytesAcked, server.bytesReceived]).toEqual([8, 6])
    expect(client.minRttMicroseconds).toBeGreaterThanOrEqual(0)
    expect(client.cookie).toBeGreaterThan(0n)
    expect(client.lifetimeMs.min).toBeGreaterThanOrEqual(0)
  })

  it('reports a reset by this end without what the kernel has forgotten', async () => {
    const { port } = await serve()
    const { watch: running, found } = watch({ looks: false })
    const client = await untilReported(
      running,
      () => connectAndEnd(port, '127.0.0.1', (socket) => socket.resetAndDestroy()),
      (localPort) => found.find((each) => each.localPort === localPort),
    )
    expect(client).toMatchObject({
      end: 'reset',
      closedBy: 'here',
      localAddress: undefined,
      remoteAddress: '127.0.0.1',
      remotePort: undefined,
      bytesSent: undefined,
      bytesReceived: undefined,
      retransmits: undefined,
      rttMicroseconds: undefined,
      pid: undefined,
      lifetimeMs: { min: 0, max: undefined },
    })
  })

  it('reports the process and the user of a connection that a look has shown', async () => {
    const looks = looksCostNothing()
    const { port } = await serve()
    const { watch: running, found } = watch({ intervalMs: 10, filter: { remotePort: port } })
    const twoLooks = async (): Promise<void> => {
      const before = looks.mock.calls.length
      await until(
        'two looks',
        () => looks.mock.calls.length - before,
        (count) => count >= 2,
      )
    }
    // The first look is complete when the second one begins.
    await twoLooks()
    const client = await untilReported(
      running,
      async () => {
        const socket = net.connect(port, '127.0.0.1')
        await once(socket.resume(), 'connect')
        // The next look begins after this connect(), and its search for processes has ended when another look begins.
        await twoLooks()
        socket.end()
        await once(socket, 'close')
      },
      () => found[0],
    )
    expect(client).toMatchObject({
      pid: process.pid,
      uid: process.getuid?.(),
      processFrom: 'socket',
      command: readFileSync('/proc/self/comm', 'utf8').trimEnd(),
    })
    expect(client.lifetimeMs.max).toBeGreaterThanOrEqual(client.lifetimeMs.min)
  })

  it.each<[string, (port: number) => WatchConnectionsOptions['filter']]>([
    ['the local port', (port) => ({ localPort: port })],
    ['a range of local ports', (port) => ({ localPortRange: { min: port, max: port } })],
    ['addresses and ports', (port) => ({ localAddress: '127.0.0.1', localPort: port })],
    ['a mapped address', (port) => ({ localPort: port, remoteAddress: '::ffff:127.0.0.1' })],
  ])('filters by %s', async (_title, filterOf) => {
    const { port } = await serve()
    const { watch: running, found } = watch({ filter: filterOf(port), looks: false })
    await untilReported(
      running,
      () => connectAndEnd(port),
      () => (found.length > 0 && running.counters().seen > found.length ? true : undefined),
    )
    expect(new Set(found.map(({ localPort }) => localPort))).toEqual(new Set([port]))
    expect(running.counters().reported).toBe(found.length)
  })

  it('reports the mapped addresses of IPv6 sockets, which a filter by the IPv4 address matches', async () => {
    const { port } = await serve('::')
    const { watch: running, found } = watch({
      filter: { localPort: port, localAddress: '127.0.0.1' },
    })
    const server = await untilReported(
      running,
      () => connectAndEnd(port),
      () => found[0],
    )
    expect(server.localAddress).toBe('::ffff:127.0.0.1')
  })

  it('counts sockets that were never connected, and does not report them', async () => {
    const { watch: running } = watch({ looks: false })
    const listenAndFail = async (): Promise<void> => {
      const server = net.createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as net.AddressInfo
      await once(server.close(), 'close')
      await once(net.connect(port, '127.0.0.1'), 'error')
    }
    const count = await untilReported(running, listenAndFail, () => {
      const { notConnected } = running.counters()
      return notConnected >= 2 ? notConnected : undefined
    })
    expect(count).toBeGreaterThanOrEqual(2)
  })

  it('yields connections to loops, and ends when the last one is left', async () => {
    const { port } = await serve()
    const running = watchConnections({ filter: { localPort: port } })
    const ended = running.ended.then(() => 'ended')
    const first = (async () => {
      for await (const each of running) return each
      return undefined
    })()
    await untilReported(
      running,
      () => connectAndEnd(port),
      () => (running.running ? undefined : true),
    )
    expect((await first)?.localPort).toBe(port)
    expect(await ended).toBe('ended')
    expect(running.running).toBe(false)
  })

  it('ends by stop(), by its signal, and by a using declaration', async () => {
    const controller = new AbortController()
    const watches = [
      watchConnections(),
      watchConnections({ signal: controller.signal }),
      watchConnections({ signal: AbortSignal.abort() }),
      watchConnections(),
    ] as const
    watches[0].stop()
    watches[0].stop()
    controller.abort()
    watches[3][Symbol.dispose]()
    await Promise.all(watches.map(({ ended }) => ended))
    expect(watches.map(({ running }) => running)).toEqual([false, false, false, false])
    expect(await watches[0][Symbol.asyncIterator]().next()).toMatchObject({ done: true })
    expect(watches[0].counters().lost).toBeGreaterThanOrEqual(0)
  })

  it('fails with the reason if the kernel refuses', () => {
    const open = jest.spyOn(native, 'openEndedSockets')
    open.mockReturnValueOnce(-os.errno.EPERM).mockReturnValueOnce(-os.errno.ENOSYS)
    expect(failureOf(() => watchConnections())).toMatchObject({ code: 'EPERM' })
    expect(failureOf(() => watchConnections())).toMatchObject({
      code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
    })
  })

  it('rejects `ended`, and throws in its loops, once nothing more can be received', async () => {
    const warnings: unknown[] = []
    const onWarning = (warning: unknown): void => {
      warnings.push(warning)
    }
    let wake: ((result: number) => void) | undefined
    jest.spyOn(native, 'openEndedSockets').mockImplementation((...args) => {
      wake = args[3]
      return 0
    })
    jest.spyOn(native, 'closeEndedSockets').mockReturnValue(0)
    jest.spyOn(native, 'lostEndedSockets').mockReturnValue(0)
    const running = watchConnections({ looks: false })
    const loop = running[Symbol.asyncIterator]().next()
    subscribe('socket-tuner:warning', onWarning)
    wake?.(-os.errno.ENOMEM)
    unsubscribe('socket-tuner:warning', onWarning)
    await expect(loop).rejects.toMatchObject({ code: 'ENOMEM' })
    await expect(running.ended).rejects.toMatchObject({ code: 'ENOMEM' })
    expect(warnings).toMatchObject([{ code: 'SOCKET_TUNER_WATCH_ENDED' }])
    expect(running.running).toBe(false)
  })

  it('does not keep the process alive', async () => {
    const code = "require('./dist/ports').watchConnections()"
    await promisify(execFile)(process.execPath, ['-e', code])
  })

  it('has an uncaught exception if the callback throws, and reports the others', async () => {
    const code = `
      const net = require('node:net')
      const { watchConnections } = require('./dist/ports')
      const errors = []
      process.on('uncaughtException', ({ message }) => errors.push(message))
      const watch = watchConnections({
        onConnection() {
          if (errors.length > 0 && watch.counters().reported > 1) watch.stop(), server.close()
          throw new Error('thrown by the callback')
        },
      })
      const server = net.createServer((socket) => socket.resume().end()).listen(0, '127.0.0.1', connect)
      function connect() {
        if (!watch.running) return console.log(new Set(errors))
        net.connect(server.address()?.port ?? 9, '127.0.0.1').on('error', () => {}).resume().on('close', connect)
      }`
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', code])
    expect(stdout).toBe("Set(1) { 'thrown by the callback' }\n")
  })
})

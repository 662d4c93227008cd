/** Both kinds of wire, which a run cannot tell apart. */
import { once } from 'node:events'
import * as net from 'node:net'
import { Connector, type CloseModeName, type CloseTotals, type TuningOptions } from '../../lib'
import { checkStress, type StressOptions } from '../../lib/stress/options'
import { openWires } from '../../lib/stress/open-wires'
import { PolledWires } from '../../lib/stress/polled-wires'
import { SocketWires } from '../../lib/stress/socket-wires'
import type { WireUser, Wires } from '../../lib/stress/wire'
import { fullListener, closeLater, destroyLater, listen, until } from '../sockets'

// Only Linux has polled wires, and reports what a close has cost.
const linux = process.platform === 'linux' ? describe : describe.skip

/** Records the events of a wire. */
class Log implements WireUser {
  readonly events: string[] = []
  readonly received_: Buffer[] = []
  errorCode: string | undefined
  onReceived: (() => void) | undefined

  connected(): void {
    this.events.push('connected')
  }

  secured(): void {
    this.events.push('secured')
  }

  received(buffer: Buffer, from: number, to: number): void {
    if (this.events.at(-1) !== 'received') this.events.push('received')
    this.received_.push(Buffer.from(buffer.subarray(from, to)))
    this.onReceived?.()
  }

  ended(): void {
    this.events.push('ended')
  }

  failed({ code }: NodeJS.ErrnoException): void {
    this.events.push('failed')
    this.errorCode = code
  }

  closed(): void {
    this.events.push('closed')
  }

  async has(event: string): Promise<void> {
    await until(() => this.events.includes(event))
  }
}

interface Server {
  readonly port: number
  readonly sockets: net.Socket[]
}

async function serve(
  onConnection: (socket: net.Socket) => void = () => undefined,
): Promise<Server> {
  const sockets: net.Socket[] = []
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    destroyLater(socket)
    sockets.push(socket)
    onConnection(socket)
  })
  return { port: await listen(server), sockets }
}

type Make = (connector: Connector, port: number, timed?: (ms: number) => void) => Wires

const kinds: [string, Make][] = [
  [
    'sockets',
    (connector, port, timed = () => undefined) =>
      new SocketWires(connector, { host: '127.0.0.1', port, noDelay: true }, undefined, timed),
  ],
  [
    'polled descriptors',
    (connector, port, timed = () => undefined) => {
      const to = { family: 4, address: '127.0.0.1', port } as const
      const wires = PolledWires.openTo(connector, to, timed)
      if (wires === undefined) throw new Error('there is no poller')
      return wires
    },
  ],
]

linux.each(kinds)('wires of %s', (_kind, make) => {
  function wiresTo(
    port: number,
    options: TuningOptions = { close: 'deliver' },
    timed?: (ms: number) => void,
  ): { wires: Wires; totals: () => CloseTotals } {
    const connector = new Connector(options)
    const wires = make(connector, port, timed)
    closeLater(() => {
      wires.close()
    })
    return { wires, totals: () => connector.counters() }
  }

  it('report the connection, the answer, the end and the close, in this order', async () => {
    const { port } = await serve((socket) => socket.pipe(socket))
    const calls: number[] = []
    const { wires } = wiresTo(port, { close: 'fin' }, (ms) => calls.push(ms))
    const log = new Log()
    const wire = wires.open(log)
    expect(log.events).toEqual([])
    await log.has('connected')
    expect(calls).toHaveLength(1)
    wire.write(Buffer.from('hello'))
    await log.has('received')
    expect(wire.info()).toMatchObject({ state: 'ESTABLISHED', bytesReceived: 5 })
    wire.close()
    // The caller is not finished yet.
    expect(log.events).toEqual(['connected', 'received'])
    await log.has('closed')
    expect(log.events).toEqual(['connected', 'received', 'closed'])
    expect(Buffer.concat(log.received_).toString()).toBe('hello')
    expect(() => wire.info()).toThrow()
  })

  it('report the end of a target that closes', async () => {
    const { port } = await serve((socket) => socket.end('bye'))
    const { wires, totals } = wiresTo(port, { close: 'fin' })
    const log = new Log()
    const wire = wires.open(log)
    await log.has('ended')
    wire.close()
    await log.has('closed')
    expect(log.events).toEqual(['connected', 'received', 'ended', 'closed'])
    // The target closed first, and keeps TIME_WAIT.
    expect(totals()).toMatchObject({ closes: { fin: 1 }, timeWaitLeft: 0 })
  })

  it('report nothing after they are closed, and close once', async () => {
    const { port, sockets } = await serve((socket) => {
      socket.resume()
      socket.on('end', () => socket.end('y'))
      socket.write('x')
    })
    const { wires, totals } = wiresTo(port, { close: 'fin' })
    const log = new Log()
    const wire = wires.open(log)
    log.onReceived = () => {
      wire.close()
      wire.close()
    }
    await log.has('closed')
    wire.close()
    await until(() => sockets.every(({ closed }) => closed))
    expect(log.events).toEqual(['connected', 'received', 'closed'])
    expect(totals().closes.fin).toBe(1)
  })

  it('can be closed while they connect', async () => {
    const port = fullListener()
    const { wires, totals } = wiresTo(port)
    const log = new Log()
    wires.open(log).close()
    await log.has('closed')
    expect(log.events).toEqual(['closed'])
    expect(totals()).toMatchObject({ closes: { deliver: 1 }, timeWaitLeft: 0, discardedBytes: 0 })
  })

  it('fail if the target refuses them', async () => {
    const server = net.createServer()
    const port = await listen(server)
    server.close()
    await once(server, 'close')
    const { wires, totals } = wiresTo(port)
    const log = new Log()
    wires.open(log)
    await log.has('closed')
    expect(log.events).toEqual(['failed', 'closed'])
    expect(log.errorCode).toBe('ECONNREFUSED')
    expect(totals()).toMatchObject({ closes: { deliver: 1 }, timeWaitLeft: 0, discardedBytes: 0 })
  })

  it('fail if the target resets them', async () => {
    const { port } = await serve((socket) => socket.once('data', () => socket.resetAndDestroy()))
    const { wires } = wiresTo(port)
    const log = new Log()
    const wire = wires.open(log)
    await log.has('connected')
    wire.write(Buffer.from('x'))
    await log.has('closed')
    expect(log.events).toEqual(['connected', 'failed', 'closed'])
    expect(log.errorCode).toBe('ECONNRESET')
  })

  it('fail if the target resets them while they send', async () => {
    const { port, sockets } = await serve((socket) => socket.pause())
    const { wires, totals } = wiresTo(port, { close: { mode: 'fin', onError: 'reset' } })
    const log = new Log()
    const wire = wires.open(log)
    await log.has('connected')
    await until(() => sockets.length === 1)
    wire.write(Buffer.alloc(12_000_000))
    sockets[0]?.resetAndDestroy()
    await log.has('closed')
    expect(log.events).toEqual(['connected', 'failed', 'closed'])
    expect(log.errorCode).toBe('ECONNRESET')
    expect(totals().closes.reset).toBe(1)
  })

  it('write more than the send buffer holds', async () => {
    const sent = Buffer.alloc(8_000_000, 'abcdefg')
    const parts: Buffer[] = []
    const { port } = await serve((socket) => {
      socket.on('data', (chunk: Buffer) => parts.push(chunk))
    })
    const { wires } = wiresTo(port)
    const log = new Log()
    const wire = wires.open(log)
    await log.has('connected')
    wire.write(sent)
    await until(() => parts.reduce((sum, { length }) => sum + length, 0) === sent.length)
    expect(Buffer.concat(parts).equals(sent)).toBe(true)
    wire.close()
    await log.has('closed')
  })

  it.each(['deliver', 'reset'] as const)(
    'count the bytes that a close by %s discards',
    async (close) => {
      const { port } = await serve((socket) => socket.pause())
      const { wires, totals } = wiresTo(port, { close })
      const log = new Log()
      const wire = wires.open(log)
      await log.has('connected')
      wire.write(Buffer.alloc(12_000_000))
      wire.close()
      await log.has('closed')
      const { discardedBytes, closes } = totals()
      expect(closes[close]).toBe(1)
      expect(discardedBytes).toBeGreaterThan(1_000_000)
      expect(discardedBytes).toBeLessThan(12_000_000)
    },
  )

  it.each([
    ['fin', 1],
    ['deliver', 0],
    ['reset', 0],
    ['lingering', 1],
  ] as [CloseModeName, number][])('close by %s, and count it', async (close, timeWaitLeft) => {
    const { port } = await serve((socket) => {
      socket.on('end', () => socket.end())
      socket.pipe(socket, { end: false })
    })
    const { wires, totals } = wiresTo(port, { close })
    const log = new Log()
    const wire = wires.open(log)
    await log.has('connected')
    wire.write(Buffer.from('x'))
    await log.has('received')
    wire.close()
    await log.has('closed')
    // A lingering close is counted when the target has finished too.
    await until(() => totals().closes[close] === 1)
    expect(totals()).toMatchObject({ timeWaitLeft, fallbacks: {}, discardedBytes: 0 })
  })

  it('use onError for a connection that an error ended', async () => {
    const { port } = await serve((socket) => socket.once('data', () => socket.resetAndDestroy()))
    const { wires, totals } = wiresTo(port, { close: { mode: 'fin', onError: 'reset' } })
    const log = new Log()
    const wire = wires.open(log)
    await log.has('connected')
    wire.write(Buffer.from('x'))
    await log.has('closed')
    expect(totals().closes).toMatchObject({ fin: 0, reset: 1 })
  })

  it('have the source address and the settings of the connector', async () => {
    const { port, sockets } = await serve((socket) => socket.pipe(socket))
    const settings = { SO_RCVBUF: 8_192 }
    const { wires } = wiresTo(port, { source: '127.0.0.2', settings, close: 'deliver' })
    const log = new Log()
    const wire = wires.open(log)
    await log.has('connected')
    await until(() => sockets.length === 1)
    expect(sockets[0]?.remoteAddress).toBe('127.0.0.2')
    expect(wire.info().rcvSsthresh).toBeLessThan(20_000)
    wire.close()
    await log.has('closed')
  })

  it('take turns with the addresses of a pool, and give them back', async () => {
    const from: (string | undefined)[] = []
    const { port } = await serve(({ remoteAddress }) => from.push(remoteAddress))
    const { wires } = wiresTo(port, { source: ['127.0.0.2', '127.0.0.3'], close: 'deliver' })
    for (let round = 0; round < 3; round++) {
      const logs = [new Log(), new Log()]
      const opened = logs.map((log) => wires.open(log))
      for (const log of logs) await log.has('connected')
      await until(() => from.length === 2 * round + 2)
      for (const wire of opened) wire.close()
      for (const log of logs) await log.has('closed')
    }
    for (const address of ['127.0.0.2', '127.0.0.3'])
      expect(from.filter((each) => each === address)).toHaveLength(3)
  })
})

linux('openWires()', () => {
  function kindFor(options: StressOptions): string {
    const checked = checkStress(options)
    const { url, protocol, host, port } = checked.target
    const target = { url, protocol, host, address: '127.0.0.1', port }
    const wires = openWires(checked, target, new Connector(), () => undefined)
    wires.close()
    return `${wires.constructor.name}, ${wires.areSecured ? 'secured' : 'plain'}`
  }

  it('polls descriptors for plain targets', () => {
    expect(kindFor({ target: 'http://127.0.0.1/' })).toBe('PolledWires, plain')
    expect(kindFor({ target: '127.0.0.1:80' })).toBe('PolledWires, plain')
  })

  it('uses sockets for TLS, and to wait for ports', () => {
    expect(kindFor({ target: 'https://127.0.0.1/' })).toBe('SocketWires, secured')
    expect(kindFor({ target: 'http://127.0.0.1/', portWaitMs: 5 })).toBe('SocketWires, plain')
  })
})

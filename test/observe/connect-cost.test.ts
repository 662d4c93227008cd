import { once } from 'node:events'
import * as net from 'node:net'
import { connect } from '../../lib'
import { ConnectMeter } from '../../lib/observe/connect-cost'
import { destroyLater, listen } from '../sockets'

const meters: ConnectMeter[] = []
afterEach(() => {
  for (const meter of meters.splice(0)) meter.stop()
})

function meterFor(address: string, port: number): ConnectMeter {
  const meter = new ConnectMeter(address, port)
  meters.push(meter)
  return meter
}

interface Handle {
  connect: (request: object, address: string, port: number) => number
  close: () => void
}

async function connected(socket: net.Socket): Promise<void> {
  destroyLater(socket)
  await once(socket, 'connect')
}

async function serve(host: string): Promise<number> {
  return listen(
    net.createServer((socket) => {
      destroyLater(socket)
    }),
    host,
  )
}

describe('ConnectMeter', () => {
  it.each(['127.0.0.1', '::1'])(
    'counts connections to %s, those of Node and those of this library',
    async (host) => {
      const port = await serve(host)
      const meter = meterFor(host, port)
      await connected(net.connect(port, host))
      await connected(connect({ port, host, settings: { TCP_NODELAY: true } }))
      const { calls, median = 0, slowest } = meter.take()
      expect(calls).toBe(2)
      expect(median).toBeGreaterThan(0)
      expect(slowest).toBeGreaterThanOrEqual(median)
      expect(meter.take()).toEqual({ calls: 0, median: undefined, slowest: 0 })
    },
  )

  it('counts only the calls for its own destination', async () => {
    const [port, other] = [await serve('127.0.0.1'), await serve('127.0.0.1')]
    const meters = [meterFor('127.0.0.1', port), meterFor('127.0.0.1', other)]
    const mapped = meterFor('::ffff:127.0.0.1', other)
    await connected(net.connect(other, '127.0.0.1'))
    expect(meters.map((meter) => meter.take().calls)).toEqual([0, 1])
    expect(mapped.take().calls).toBe(1)
  })

  it('does not change the error for an invalid address', async () => {
    const port = await serve('127.0.0.1')
    const socket = net.connect(port, '127.0.0.1')
    await connected(socket)
    const { _handle } = socket as unknown as { _handle: { constructor: new (type: 0) => Handle } }
    meterFor('127.0.0.1', port)
    const handle = new _handle.constructor(0)
    expect(handle.connect({}, '1:2:3:4:5:6:7:8:9:0', port)).toBeLessThan(0)
    handle.close()
  })

  it("restores Node's function when the last meter has stopped", async () => {
    const port = await serve('127.0.0.1')
    const socket = net.connect(port, '127.0.0.1')
    await connected(socket)
    const { _handle } = socket as unknown as { _handle: object }
    const prototype = Object.getPrototypeOf(_handle) as { connect: unknown; connect6: unknown }
    const own = { connect: prototype.connect, connect6: prototype.connect6 }
    const [first, second] = [meterFor('127.0.0.1', port), meterFor('127.0.0.1', port)]
    expect(prototype.connect).not.toBe(own.connect)
    first.stop()
    await connected(net.connect(port, '127.0.0.1'))
    expect(second.take().calls).toBe(1)
    second.stop()
    expect(prototype.connect).toBe(own.connect)
    expect(prototype.connect6).toBe(own.connect6)
  })
})

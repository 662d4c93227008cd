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
  const meter = new ConnectMeter()
  meters.push(meter)
  meter.take(address, port)
  return meter
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
    'counts connections to %s, of Node and of this library',
    async (host) => {
      const port = await serve(host)
      const meter = meterFor(host, port)
      await connected(net.connect(port, host))
      await connected(connect({ port, host, settings: { TCP_NODELAY: true } }))
      const { calls, median = 0, slowest } = meter.take(host, port)
      expect(calls).toBe(2)
      expect(median).toBeGreaterThan(0)
      expect(slowest).toBeGreaterThanOrEqual(median)
      expect(meter.take(host, port)).toEqual({ calls: 0, median: undefined, slowest: 0 })
    },
  )

  it('counts for each destination, and only what was asked for', async () => {
    const [port, other] = [await serve('127.0.0.1'), await serve('127.0.0.1')]
    const meter = meterFor('127.0.0.1', port)
    await connected(net.connect(other, '127.0.0.1'))
    expect(meter.take('127.0.0.1', port).calls).toBe(0)
    expect(meter.take('127.0.0.1', other).calls).toBe(0)
    await connected(net.connect(other, '127.0.0.1'))
    expect(meter.take('127.0.0.1', other).calls).toBe(1)
  })

  it('leaves nothing behind when the last one has stopped', async () => {
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
    expect(second.take('127.0.0.1', port).calls).toBe(1)
    second.stop()
    expect(prototype.connect).toBe(own.connect)
    expect(prototype.connect6).toBe(own.connect6)
  })
})

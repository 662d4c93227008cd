/** Contract tests: the assumptions of lib/node/tcp-prototype.ts about TCP handles, on this release of Node. */
import { once } from 'node:events'
import * as net from 'node:net'
import { handleOf } from '../../lib/node/handle'
import { timeConnects } from '../../lib/node/tcp-prototype'
import { freshPort } from '../helpers/fresh-port'
import { closeLater, destroyLater, listen, loopback } from '../sockets'

interface TcpPrototype {
  connect: unknown
  connect6: unknown
}

async function connected(port: number, host: string): Promise<net.Socket> {
  const socket = net.connect(port, host)
  destroyLater(socket)
  await once(socket, 'connect')
  return socket
}

async function prototypeOf(): Promise<TcpPrototype> {
  const port = await listen(net.createServer(destroyLater))
  const handle = handleOf(await connected(port, loopback[4])) ?? {}
  return Object.getPrototypeOf(handle) as TcpPrototype
}

function timed(took: Parameters<typeof timeConnects>[0]): () => void {
  const stop = timeConnects(took)
  if (stop === undefined) throw new Error('there is no prototype')
  closeLater(stop)
  return stop
}

describe('TCP.prototype.connect', () => {
  it.each(Object.values(loopback))(
    'is called with (request, address, port) for %s',
    async (host) => {
      const port = await listen(net.createServer(destroyLater), host)
      const calls: unknown[][] = []
      timed((...args) => calls.push(args))
      await connected(port, host)
      expect(calls).toEqual([[expect.any(Number), host, port]])
    },
  )

  it('is timed for a refused connection', async () => {
    const calls = jest.fn()
    timed(calls)
    const socket = net.connect(await freshPort(), loopback[4])
    await new Promise((resolve) => socket.once('error', resolve))
    expect(calls).toHaveBeenCalledTimes(1)
  })

  it('is restored when the measurement stops', async () => {
    const prototype = await prototypeOf()
    const { connect, connect6 } = prototype
    expect([typeof connect, typeof connect6]).toEqual(['function', 'function'])
    const stop = timed(jest.fn())
    expect(prototype.connect).not.toBe(connect)
    stop()
    expect([prototype.connect, prototype.connect6]).toEqual([connect, connect6])
  })

  it('is not restored if other code has replaced it since', async () => {
    const prototype = await prototypeOf()
    const { connect } = prototype
    const stop = timed(jest.fn())
    const theirs = (): number => 0
    prototype.connect = theirs
    stop()
    expect(prototype.connect).toBe(theirs)
    prototype.connect = connect
  })
})

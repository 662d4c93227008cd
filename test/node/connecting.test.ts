/** Contract tests: the assumptions of lib/node/connecting.ts about a connecting net.Socket, on this release of Node. */
import { once } from 'node:events'
import * as net from 'node:net'
import {
  beforePathConnect,
  refuseConnect,
  setAttemptedAddresses,
  withoutEvents,
} from '../../lib/node/connecting'
import { handleOf } from '../../lib/node/handle'
import { coded } from '../helpers/coded'
import { freshPort } from '../helpers/fresh-port'
import { socketPath } from '../options/targets'
import { closeLater, destroyLater, handOver, listen, loopback, unixSocket } from '../sockets'

/** Connects to a host name with two addresses, neither of which needs a listener. */
function connecting(port: number, autoSelectFamily: boolean): net.Socket {
  const addresses = [
    { address: loopback[4], family: 4 },
    { address: '127.0.0.2', family: 4 },
  ]
  const socket = net.connect({
    host: 'a.test',
    port,
    autoSelectFamily,
    lookup: (_host, { all }, callback) => {
      const [first] = addresses
      process.nextTick(() => {
        if (all === true) callback(null, addresses)
        else callback(null, first?.address ?? '', first?.family)
      })
    },
  })
  destroyLater(socket)
  return socket
}

describe.each([true, false])('with autoSelectFamily %p,', (autoSelectFamily) => {
  it("'connectionAttempt' comes right before connect() of net.Socket#_handle", async () => {
    const port = await listen(net.createServer(destroyLater))
    const socket = connecting(port, autoSelectFamily)
    const order: string[] = []
    socket.on('connectionAttempt', () => {
      order.push('connectionAttempt')
      const handle = handleOf(socket) as unknown as { connect: (...args: unknown[]) => number }
      const { connect } = handle
      handle.connect = (...args) => {
        order.push('connect')
        return connect.apply(handle, args)
      }
      process.nextTick(() => order.push('tick'))
    })
    await once(socket, 'connect')
    expect(order).toEqual(['connectionAttempt', 'connect', 'tick'])
  })

  it("a socket that is destroyed in 'connectionAttempt' makes no connection and has no _handle", async () => {
    const accepted = jest.fn()
    const port = await listen(net.createServer(accepted))
    const socket = connecting(port, autoSelectFamily)
    const attempts = jest.fn()
    socket.on('connectionAttempt', attempts)
    socket.on('connectionAttempt', () => {
      socket.destroy()
      expect(handleOf(socket)).toBeUndefined()
      refuseConnect(socket)
    })
    await new Promise((resolve) => socket.once('close', resolve))
    expect(handleOf(socket)).toBeUndefined()
    // A connection made nevertheless would be accepted before this one.
    const later = net.connect(port, loopback[4])
    destroyLater(later)
    await once(later, 'connect')
    expect(attempts).toHaveBeenCalledTimes(1)
    expect(accepted.mock.calls.length).toBeLessThanOrEqual(1)
  })
})

describe("'connectionAttempt' of a path", () => {
  async function serve(): Promise<string> {
    const path = socketPath()
    const server = net.createServer(destroyLater)
    closeLater(() => server.close())
    server.listen(path)
    await once(server, 'listening')
    return path
  }

  it('comes before connect() of net.Socket#_handle, which accepts a descriptor until then', async () => {
    const path = await serve()
    const socket = new net.Socket()
    destroyLater(socket)
    const fd = handOver(unixSocket())
    beforePathConnect(
      socket,
      (handle) => {
        expect(handleOf(socket)).toBe(handle)
        expect(handleOf(socket)?.fd).toBe(-1)
        expect(handle.open(fd)).toBe(0)
      },
      () => socket.connect(path),
    )
    expect(handleOf(socket)?.fd).toBe(fd)
    await once(socket, 'connect')
    expect(handleOf(socket)?.fd).toBe(fd)
  })

  it('destroys the socket with an error thrown in it, and makes no connection', async () => {
    const path = await serve()
    const socket = new net.Socket()
    const connected = jest.fn()
    socket.once('connect', connected)
    const error = new Error('mine')
    const emitted = new Promise((resolve) => socket.once('error', resolve))
    beforePathConnect(
      socket,
      () => {
        throw error
      },
      () => socket.connect(path),
    )
    expect(await emitted).toBe(error)
    if (!socket.closed) await once(socket, 'close')
    expect(handleOf(socket)).toBeUndefined()
    expect(connected).not.toHaveBeenCalled()
  })

  it('is no longer followed after Node has refused the arguments of connect()', () => {
    const socket = new net.Socket()
    const give = jest.fn()
    expect(() => {
      beforePathConnect(socket, give, () => socket.connect({ path: 7 } as never))
    }).toThrow(coded('ERR_INVALID_ARG_TYPE'))
    expect(socket.listenerCount('connectionAttempt')).toBe(0)
    expect(give).not.toHaveBeenCalled()
  })
})

describe('net.Socket#_aborted', () => {
  it('is restored one tick after connect() was refused', async () => {
    const port = await listen(net.createServer(destroyLater))
    const socket = connecting(port, true)
    const aborted = (): unknown => (socket as { _aborted?: unknown })._aborted
    socket.on('connectionAttempt', () => {
      socket.destroy()
      refuseConnect(socket)
    })
    await new Promise((resolve) => socket.once('close', resolve))
    expect(aborted()).toBe(false)
  })

  it('is unchanged if the handle still exists', async () => {
    const port = await listen(net.createServer(destroyLater))
    const socket = net.connect(port, loopback[4])
    destroyLater(socket)
    const handle = handleOf(socket)
    refuseConnect(socket)
    expect(handleOf(socket)).toBe(handle)
    await once(socket, 'connect')
  })
})

describe('net.Socket#autoSelectFamilyAttemptedAddresses', () => {
  it("lists 'address:port' of each attempt, whether Node or this library made it", async () => {
    const port = await freshPort()
    const socket = connecting(port, true)
    await new Promise((resolve) => socket.once('close', resolve))
    const tried = [`${loopback[4]}:${String(port)}`, `127.0.0.2:${String(port)}`]
    expect(socket.autoSelectFamilyAttemptedAddresses).toEqual(tried)
    const other = new net.Socket()
    setAttemptedAddresses(other, tried)
    expect(other.autoSelectFamilyAttemptedAddresses).toEqual(tried)
  })
})

describe('net.Socket#emit', () => {
  it('emits suppressed events only after the suppression has ended', () => {
    const socket = new net.Socket()
    const events: unknown[] = []
    socket.on('lookup', () => events.push('lookup'))
    socket.on('ready', () => events.push('ready'))
    const emit = Reflect.get(socket, 'emit') as unknown
    expect(() => {
      withoutEvents(socket, new Set(['lookup']), () => {
        expect(socket.emit('lookup', null as unknown as Error, '', 4, '')).toBe(false)
        expect(socket.emit('ready')).toBe(true)
        throw new Error('mine')
      })
    }).toThrow('mine')
    expect(Reflect.get(socket, 'emit')).toBe(emit)
    socket.emit('lookup', null as unknown as Error, '', 4, '')
    expect(events).toEqual(['ready', 'lookup'])
  })
})

/** Contract tests: what lib/node/connecting.ts takes a connecting net.Socket to do, on the release that runs them. */
import { once } from 'node:events'
import * as net from 'node:net'
import { refuseConnect, setAttemptedAddresses, withoutEvents } from '../../lib/node/connecting'
import { handleOf } from '../../lib/node/handle'
import { freshPort } from '../helpers/fresh-port'
import { destroyLater, listen, loopback } from '../sockets'

/** A host name with two addresses, of which neither may have a listener. */
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

describe.each([true, false])('With autoSelectFamily %p', (autoSelectFamily) => {
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

  it("a socket destroyed in 'connectionAttempt' is connected to nothing, and has no _handle", async () => {
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
    // What would be connected in spite of that is accepted before this one is.
    const later = net.connect(port, loopback[4])
    destroyLater(later)
    await once(later, 'connect')
    expect(attempts).toHaveBeenCalledTimes(1)
    expect(accepted.mock.calls.length).toBeLessThanOrEqual(1)
  })
})

describe('net.Socket#_aborted', () => {
  it('is as it was a tick after a connect() was refused', async () => {
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

  it('is left alone where the handle is still there', async () => {
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
  it("has 'address:port' of each attempt, set by Node or here", async () => {
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
  it('emits none of the events that are kept back, and all of them afterwards', () => {
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

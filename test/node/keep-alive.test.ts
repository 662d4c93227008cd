/** Contract tests: the assumptions of lib/node/keep-alive.ts about setKeepAlive() of a handle, on this release of Node. */
import { once } from 'node:events'
import * as net from 'node:net'
import { handleOf, transportFd, type Handle } from '../../lib/node/handle'
import { afterSetKeepAlive, setsKeepAlive } from '../../lib/node/keep-alive'
import { socketPath } from '../options/targets'
import { closeLater, connectedPair, destroyLater, listen, loopback } from '../sockets'

interface KeepAliveHandle extends Handle {
  setKeepAlive: (...args: unknown[]) => number
}

function keepAliveHandleOf(socket: net.Socket): KeepAliveHandle {
  return handleOf(socket) as KeepAliveHandle
}

describe('TCP#setKeepAlive', () => {
  it('is called on the handle with (enable, seconds) by net.Socket#setKeepAlive()', async () => {
    const { client } = await connectedPair()
    const spy = jest.spyOn(keepAliveHandleOf(client), 'setKeepAlive')
    client.setKeepAlive(true, 60_000)
    client.setKeepAlive(false)
    expect(spy.mock.calls.map(([enable]) => enable)).toEqual([true, false])
    expect(spy.mock.calls[0]?.[1]).toBe(60)
  })

  it('can be followed, and keeps all its arguments and its result', async () => {
    const { client } = await connectedPair()
    const handle = keepAliveHandleOf(client)
    const own = jest.fn(() => 7)
    handle.setKeepAlive = own
    const context = {}
    const action = jest.fn()
    expect(afterSetKeepAlive(handle, context, action)).toBe(true)
    expect(handle.setKeepAlive(true, 60, 'more')).toBe(7)
    expect(own.mock.calls).toEqual([[true, 60, 'more']])
    expect(own.mock.contexts).toEqual([handle])
    expect(action.mock.calls).toEqual([[transportFd(client), context]])
  })

  it('is not followed on a handle without a descriptor', () => {
    const handle = { fd: -1, setKeepAlive: () => 0 }
    const action = jest.fn()
    afterSetKeepAlive(handle, undefined, action)
    expect(handle.setKeepAlive()).toBe(0)
    expect(action).not.toHaveBeenCalled()
  })

  it('is a method of TCP handles, but not of handles of unix-domain sockets', async () => {
    const path = socketPath()
    const server = net.createServer(destroyLater).listen(path)
    closeLater(() => server.close())
    await once(server, 'listening')
    const client = net.connect(path)
    destroyLater(client)
    await once(client, 'connect')
    expect(afterSetKeepAlive(handleOf(client) ?? {}, undefined, jest.fn())).toBe(false)
  })
})

describe('net.Server#keepAlive', () => {
  it('is true on a server that calls setKeepAlive() for its connections', () => {
    expect(setsKeepAlive(net.createServer({ keepAlive: true }))).toBe(true)
    expect(setsKeepAlive(net.createServer())).toBe(false)
  })

  it("takes effect before 'connection'", async () => {
    const server = net.createServer({ keepAlive: true, keepAliveInitialDelay: 60_000 })
    const port = await listen(server)
    destroyLater(net.connect(port, loopback[4]))
    const [accepted] = (await once(server, 'connection')) as [net.Socket]
    destroyLater(accepted)
    const spy = jest.spyOn(keepAliveHandleOf(accepted), 'setKeepAlive')
    await new Promise(setImmediate)
    expect(spy).not.toHaveBeenCalled()
  })
})

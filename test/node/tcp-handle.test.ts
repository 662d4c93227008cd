import { once } from 'node:events'
import * as net from 'node:net'
import { handleOf } from '../../lib/node/handle'
import {
  answerConnect,
  isPrepared,
  isTcp,
  replaceConnectError,
  tcpHandle,
  type TcpHandle,
} from '../../lib/node/tcp-handle'
import { freshPort } from '../helpers/fresh-port'
import { socketPath } from '../options/targets'
import { destroyLater, handOver, listen, loopback, tcpSocket } from '../sockets'

/** Returns a net.Socket that will connect in a later tick, and its handle. */
function connecting(port: number): { socket: net.Socket; handle: TcpHandle } {
  const socket = net.connect({ host: loopback[4], port, autoSelectFamily: false })
  destroyLater(socket)
  const handle = tcpHandle(handleOf(socket))
  if (handle === undefined) throw new Error('there is no handle')
  return { socket, handle }
}

/** Collects what a socket reports about a connection that fails, and the error that it ends with. */
async function reportsOf(socket: net.Socket): Promise<unknown[]> {
  const reports: unknown[] = []
  socket.on('connectionAttemptFailed', (...args: unknown[]) => reports.push(args.at(-1)))
  socket.on('error', (error) => reports.push(error))
  await new Promise((resolve) => socket.once('close', resolve))
  return reports
}

describe('connect() of a TCP handle', () => {
  it('is intercepted once, with the destination, and is then restored', async () => {
    const server = net.createServer((peer) => peer.end())
    const port = await listen(server)
    const { socket, handle } = connecting(port)
    const { connect, connect6 } = handle
    const calls: unknown[] = []
    answerConnect(handle, ({ family, address, port: to, connect: proceed }) => {
      calls.push([family, address, to])
      expect([handle.connect, handle.connect6]).toEqual([connect, connect6])
      return proceed()
    })
    await once(socket, 'connect')
    expect(calls).toEqual([[4, loopback[4], port]])
  })

  it('is called with (request, address, port) on the handle, and completes by request.oncomplete', async () => {
    const port = await listen(net.createServer((peer) => peer.end()))
    const { socket, handle } = connecting(port)
    const { connect } = handle
    const completed = new Promise<unknown[]>((resolve) => {
      handle.connect = function (...args) {
        expect(this).toBe(handle)
        expect(args).toEqual([expect.any(Object), loopback[4], port])
        const [request] = args
        const { oncomplete } = request
        request.oncomplete = (...results) => {
          resolve(results)
          oncomplete.apply(request, results)
        }
        return connect.apply(handle, args)
      }
    })
    expect(await completed).toEqual([0, handle, expect.any(Object), true, true])
    expect(socket.connecting).toBe(false)
  })

  it('works after open(fd) gave the handle a descriptor', async () => {
    const { handle } = connecting(await freshPort())
    const fd = handOver(tcpSocket())
    expect(handle.open(fd)).toBe(0)
    expect((handle as unknown as { fd: number }).fd).toBe(fd)
  })

  it('is a method of the handle itself after it was intercepted', async () => {
    const { handle } = connecting(await freshPort())
    expect(isPrepared(handle)).toBe(false)
    answerConnect(handle, ({ connect }) => connect())
    expect(isPrepared(handle)).toBe(true)
  })

  it('returns the result of the interceptor to Node', async () => {
    const { socket, handle } = connecting(await freshPort())
    answerConnect(handle, () => -1)
    expect(await reportsOf(socket)).toMatchObject([{ code: 'EPERM', syscall: 'connect' }])
  })

  it('is not intercepted for a unix-domain socket', () => {
    const socket = net.connect(socketPath()).on('error', () => undefined)
    destroyLater(socket)
    expect(tcpHandle(handleOf(socket))).toBeUndefined()
    expect(tcpHandle(undefined)).toBeUndefined()
    expect([isTcp(handleOf(socket)), isTcp(undefined)]).toEqual([false, false])
  })
})

describe('the error of a connect() that fails later', () => {
  it('is replaced wherever the net.Socket reports it, and leaves no trace on the socket', async () => {
    const { socket, handle } = connecting(await freshPort())
    const error = new Error('ours')
    const statuses: number[] = []
    answerConnect(handle, ({ request, connect }) => {
      replaceConnectError(socket, request, (status) => {
        statuses.push(status)
        return error
      })
      return connect()
    })
    const before = Object.keys(socket)
    const [attempt, last, ...more] = await reportsOf(socket)
    expect(attempt).toBe(error)
    expect(last).toBe(error)
    expect(more).toEqual([])
    expect(statuses).toEqual([expect.any(Number)])
    expect(Object.keys(socket)).toEqual(before)
  })

  it("is Node's own if there is no replacement", async () => {
    const { socket, handle } = connecting(await freshPort())
    answerConnect(handle, ({ request, connect }) => {
      replaceConnectError(socket, request, () => undefined)
      return connect()
    })
    const [attempt, last] = await reportsOf(socket)
    expect(last).toMatchObject({ code: 'ECONNREFUSED' })
    expect(last).toBe(attempt)
  })

  it('gives way to the error of a listener that destroys the socket', async () => {
    const { socket, handle } = connecting(await freshPort())
    answerConnect(handle, ({ request, connect }) => {
      replaceConnectError(socket, request, () => new Error('ours'))
      return connect()
    })
    const own = new Error("the listener's")
    socket.prependListener('connectionAttemptFailed', () => {
      socket.destroy(own)
    })
    expect((await reportsOf(socket)).at(-1)).toBe(own)
  })

  it('is not made if the socket was destroyed before', async () => {
    const { socket, handle } = connecting(await freshPort())
    const failure = jest.fn()
    const connected = new Promise<void>((resolve) => {
      answerConnect(handle, ({ request, connect }) => {
        replaceConnectError(socket, request, failure)
        resolve()
        return connect()
      })
    })
    await connected
    socket.destroy()
    expect(await reportsOf(socket)).toEqual([])
    expect(failure).not.toHaveBeenCalled()
  })
})

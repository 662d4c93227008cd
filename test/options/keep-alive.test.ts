import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import {
  RawSocket,
  connect,
  deadPeerDetection,
  getOption,
  listen,
  profiles,
  setOption,
  tune,
  tuneServer,
  type Target,
} from '../../lib'
import { coded } from '../helpers/coded'
import { closeLater, connectedPair, destroyLater, loopback } from '../sockets'

const host = loopback[4]
const settings = { SO_KEEPALIVE: true, TCP_KEEPIDLE: 20, TCP_KEEPINTVL: 7, TCP_KEEPCNT: 3 }

function keepAliveOf(target: Target): object {
  return {
    SO_KEEPALIVE: getOption(target, 'SO_KEEPALIVE'),
    TCP_KEEPIDLE: getOption(target, 'TCP_KEEPIDLE'),
    TCP_KEEPINTVL: getOption(target, 'TCP_KEEPINTVL'),
    TCP_KEEPCNT: getOption(target, 'TCP_KEEPCNT'),
  }
}

async function serve(options: net.ServerOpts = {}): Promise<{ server: net.Server; port: number }> {
  const server = net.createServer(options, (socket) => {
    destroyLater(socket)
  })
  closeLater(() => server.close())
  return { server, port: (await listen(server, { host })).port }
}

describe('keepalive options that were set by name', () => {
  it('are overwritten by setKeepAlive() if they were set without this library', async () => {
    const { client } = await connectedPair()
    client.setKeepAlive(true, 60_000)
    expect(keepAliveOf(client)).toMatchObject({
      TCP_KEEPIDLE: 60,
      TCP_KEEPINTVL: 1,
      TCP_KEEPCNT: 10,
    })
  })

  it('survive setKeepAlive() after tune()', async () => {
    const { client } = await connectedPair()
    tune(client, settings)
    client.setKeepAlive(true, 60_000)
    expect(keepAliveOf(client)).toEqual(settings)
    client.setKeepAlive(false)
    expect(keepAliveOf(client)).toMatchObject({ SO_KEEPALIVE: false })
    client.setKeepAlive(true, 1_000)
    expect(keepAliveOf(client)).toEqual(settings)
  })

  it('survive setKeepAlive() after setOption() with their last values, and no other option does', async () => {
    const { client } = await connectedPair()
    setOption(client, 'TCP_KEEPINTVL', 8)
    setOption(client, 'TCP_KEEPINTVL', 9)
    client.setKeepAlive(true, 60_000)
    expect(keepAliveOf(client)).toMatchObject({
      TCP_KEEPIDLE: 60,
      TCP_KEEPINTVL: 9,
      TCP_KEEPCNT: 10,
    })
  })

  it.each(['127.0.0.1', 'localhost'])(
    'survive the keepAlive option of net.connect() in connect() to %s',
    async (to) => {
      const { port } = await serve()
      const options = { keepAlive: true, keepAliveInitialDelay: 60_000 }
      const socket = connect({ host: to, port, settings, ...options })
      destroyLater(socket)
      await once(socket, 'connect')
      expect(keepAliveOf(socket)).toEqual(settings)
      socket.setKeepAlive(true, 1_000)
      expect(keepAliveOf(socket)).toEqual(settings)
    },
  )

  it('survive setKeepAlive() on a RawSocket that became a net.Socket', async () => {
    const { port } = await serve()
    const raw = RawSocket.open(4, { TCP_KEEPINTVL: 7 })
    raw.tune({ TCP_KEEPCNT: 9 })
    raw.setOption('TCP_KEEPCNT', 3)
    const socket = raw.connect({ host, port, keepAlive: true, keepAliveInitialDelay: 20_000 })
    destroyLater(socket)
    await once(socket, 'connect')
    expect(keepAliveOf(socket)).toEqual(settings)
  })

  it('survive http.Agent, which calls setKeepAlive() for each idle socket', async () => {
    const server = http.createServer((_request, response) => response.end('answer'))
    closeLater(() => {
      server.close()
      server.closeAllConnections()
    })
    const { port } = await listen(server, { host })
    const agent = new http.Agent({ keepAlive: true, keepAliveMsecs: 60_000 })
    closeLater(() => {
      agent.destroy()
    })
    const request = http.get({ host, port, agent })
    const [socket] = (await once(request, 'socket')) as [net.Socket]
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    tune(socket, settings)
    response.resume()
    await once(socket, 'free')
    expect(keepAliveOf(socket)).toEqual(settings)
  })

  it('survive the keepAlive option of a tuned server, and calls of setKeepAlive() in handlers', async () => {
    const { server, port } = await serve({ keepAlive: true, keepAliveInitialDelay: 60_000 })
    tuneServer(server, { settings })
    const client = net.connect(port, host)
    destroyLater(client)
    const [accepted] = (await once(server, 'connection')) as [net.Socket]
    expect(keepAliveOf(accepted)).toEqual(settings)
    accepted.setKeepAlive(true, 1_000)
    expect(keepAliveOf(accepted)).toEqual(settings)
  })
})

describe('setKeepAlive() with an interval and a count', () => {
  interface KeepAliveOptions {
    enable: boolean
    initialDelay: number
    interval: number
    count: number
  }
  type SetKeepAlive = (options: KeepAliveOptions) => void

  // Since Node 24.19 and 26.4.
  const isTaken = net.Socket.prototype.setKeepAlive.length > 2
  const itWhereTaken = isTaken ? it : it.skip

  itWhereTaken('sets only the options that were not set by name', async () => {
    const { client } = await connectedPair()
    const setKeepAlive = client.setKeepAlive.bind(client) as unknown as SetKeepAlive
    setOption(client, 'TCP_KEEPIDLE', 20)
    setKeepAlive({ enable: true, initialDelay: 60_000, interval: 7_000, count: 3 })
    expect(keepAliveOf(client)).toEqual(settings)
    tune(client, { TCP_KEEPCNT: 5 })
    setKeepAlive({ enable: true, initialDelay: 60_000, interval: 8_000, count: 4 })
    expect(keepAliveOf(client)).toEqual({ ...settings, TCP_KEEPINTVL: 8, TCP_KEEPCNT: 5 })
  })

  it('passes all arguments on to the handle', async () => {
    const { client } = await connectedPair()
    const { _handle: handle } = client as unknown as {
      _handle: { setKeepAlive: (...args: unknown[]) => number }
    }
    const own = jest.fn(() => 5)
    handle.setKeepAlive = own
    setOption(client, 'TCP_KEEPIDLE', 20)
    expect(handle.setKeepAlive(true, 30, 7, 3, 'more')).toBe(5)
    expect(own.mock.calls).toEqual([[true, 30, 7, 3, 'more']])
    expect(own.mock.contexts).toEqual([handle])
  })
})

describe('deadPeerDetection()', () => {
  it.each([2, 3, 4, 5, 6, 7, 10, 30, 31, 119, 3_600, 32_767])(
    'returns settings that add up to %i seconds',
    async (seconds) => {
      const made = deadPeerDetection(seconds)
      const { TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT } = made
      expect(TCP_KEEPIDLE + TCP_KEEPINTVL * TCP_KEEPCNT).toBe(seconds)
      expect(TCP_USER_TIMEOUT).toBe(1000 * seconds)
      const { client } = await connectedPair()
      const report = tune(client, made)
      expect(new Set(Object.values(report).map(({ status }) => status))).toEqual(
        new Set(['applied']),
      )
    },
  )

  it('is the profile for 30 s', () => {
    expect(profiles.deadPeerDetection).toEqual(deadPeerDetection(30))
  })

  it.each([
    [1, 'ERR_OUT_OF_RANGE'],
    [2.5, 'ERR_OUT_OF_RANGE'],
    [32_768, 'ERR_OUT_OF_RANGE'],
    [NaN, 'ERR_OUT_OF_RANGE'],
    ['30', 'ERR_INVALID_ARG_TYPE'],
  ])('refuses %p', (seconds, code) => {
    expect(() => deadPeerDetection(seconds as number)).toThrow(coded(code))
  })
})

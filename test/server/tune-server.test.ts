import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import { getOption, tcpInfo, tuneServer, type CloseModeName, type ServerTuning } from '../../lib'
import { coded } from '../helpers/coded'
import { timeWaitsLeft } from '../helpers/left-states'
import { until } from '../helpers/until'
import { closeLater } from '../sockets'

async function listening(server: net.Server): Promise<number> {
  closeLater(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as net.AddressInfo).port
}

const CLOSE = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'
const KEEP_ALIVE = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'

interface Exchange {
  answer: string
  port: number
}

/** Sends one request on its own connection, and waits until the server has closed it. */
function ask(port: number, request = CLOSE): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1')
    let answer = ''
    let clientPort = 0
    socket.on('connect', () => (clientPort = socket.localPort ?? 0))
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
    socket.on('error', reject)
    socket.on('close', () => {
      resolve({ answer, port: clientPort })
    })
    socket.write(request)
  })
}

/** Counts the exchanges that left TIME_WAIT at the server's end. */
function timeWaits(localPort: number, exchanges: readonly Exchange[]): Promise<number> {
  return timeWaitsLeft(exchanges.map(({ port }) => ({ localPort, remotePort: port })))
}

describe('tuneServer()', () => {
  it('sets inherited options on the listening socket, and the others on each connection', async () => {
    const server = net.createServer()
    const port = await listening(server)
    const tuning = tuneServer(server, {
      settings: { TCP_NODELAY: true, TCP_KEEPIDLE: 33, SO_PRIORITY: 3 },
    })
    expect(tuning.report).toMatchObject({
      TCP_NODELAY: { status: 'applied' },
      TCP_KEEPIDLE: { status: 'applied' },
    })
    expect(tuning.perConnection).toEqual(['SO_PRIORITY'])
    const accepted = once(server, 'connection')
    const client = net.connect(port, '127.0.0.1')
    closeLater(() => client.destroy())
    const [peer] = (await accepted) as [net.Socket]
    closeLater(() => peer.destroy())
    expect(getOption(peer, 'TCP_NODELAY')).toBe(true)
    expect(getOption(peer, 'TCP_KEEPIDLE')).toBe(33)
    expect(getOption(peer, 'SO_PRIORITY')).toBe(3)
    expect(tuning.counters()).toMatchObject({ tuned: 1, notTuned: 0 })
  })

  it('applies to connections that were complete before the call', async () => {
    const server = net.createServer()
    const port = await listening(server)
    const accepted = once(server, 'connection')
    const client = net.connect(port, '127.0.0.1')
    closeLater(() => client.destroy())
    // On loopback the handshake is complete when connect(2) returns. libuv accepts in the next turn.
    await new Promise((resolve) => {
      process.nextTick(resolve)
    })
    expect(tcpInfo(server).unacked).toBe(1)
    const tuning = tuneServer(server, { settings: { TCP_KEEPIDLE: 44 } })
    const [peer] = (await accepted) as [net.Socket]
    closeLater(() => peer.destroy())
    expect(getOption(peer, 'TCP_KEEPIDLE')).toBe(44)
    expect(tuning.counters().tuned).toBe(1)
  })

  it('checks values at once, and applies them when the server listens', async () => {
    const server = net.createServer()
    expect(() => tuneServer(server, { settings: { TCP_KEEPIDLE: 0 } })).toThrow(
      coded('ERR_OUT_OF_RANGE'),
    )
    const tuning = tuneServer(server, { settings: { TCP_KEEPIDLE: 55 } })
    expect(tuning.report).toBeUndefined()
    await listening(server)
    expect(await tuning.applied).toEqual({ TCP_KEEPIDLE: { status: 'applied', value: 55 } })
    expect(getOption(server, 'TCP_KEEPIDLE')).toBe(55)
  })

  it.each([undefined, null, 5, {}, new net.Socket()])(
    'refuses a value that is not a server (%#)',
    (server) => {
      expect(() => tuneServer(server as never, {})).toThrow(coded('ERR_INVALID_ARG_TYPE'))
    },
  )

  it.each(['stop', Symbol.dispose] as const)('can be stopped by %p', async (method) => {
    const server = net.createServer((peer) => peer.end())
    const port = await listening(server)
    const tuning = tuneServer(server, { settings: { SO_PRIORITY: 3 }, close: 'deliver' })
    tuning[method]()
    await ask(port, '')
    expect(tuning.counters()).toMatchObject({ tuned: 0, closes: { deliver: 0 } })
    expect(getOption(server, 'TCP_LINGER2')).not.toBe(-1)
  })
})

describe('tuneServer() on an http server', () => {
  const COUNT = 20

  async function serve(close?: CloseModeName): Promise<{ port: number; tuning: ServerTuning }> {
    const server = http.createServer({ keepAliveTimeout: 20 }, (_request, response) =>
      response.end('answer'),
    )
    const port = await listening(server)
    return { port, tuning: tuneServer(server, { close }) }
  }

  async function askOften(port: number): Promise<Exchange[]> {
    const exchanges: Exchange[] = []
    for (let i = 0; i < COUNT; i++) exchanges.push(await ask(port))
    expect(exchanges.filter(({ answer }) => answer.includes('answer'))).toHaveLength(COUNT)
    return exchanges
  }

  it('does not prevent TIME_WAIT after a response with Connection: close unless it sets a close mode', async () => {
    const { port } = await serve()
    expect(await timeWaits(port, await askOften(port))).toBe(COUNT)
  })

  it('prevents TIME_WAIT with close mode deliver, and counts the closes', async () => {
    const { port, tuning } = await serve('deliver')
    const exchanges = await askOften(port)
    await until(
      'all are closed',
      () => tuning.counters().closes.deliver,
      (count) => count === COUNT,
    )
    expect(await timeWaits(port, exchanges)).toBe(0)
    expect(tuning.counters()).toMatchObject({ fallbacks: {}, timeWaitLeft: 0, discardedBytes: 0 })
  })

  it('uses close mode deliver after a keep-alive timeout too', async () => {
    const { port, tuning } = await serve('deliver')
    const exchange = await ask(port, KEEP_ALIVE)
    expect(exchange.answer).toContain('answer')
    await until(
      'it is closed',
      () => tuning.counters().closes.deliver,
      (count) => count === 1,
    )
    expect(await timeWaits(port, [exchange])).toBe(0)
  })
})

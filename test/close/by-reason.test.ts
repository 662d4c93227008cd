import { once } from 'node:events'
import * as http from 'node:http'
import * as net from 'node:net'
import {
  closeSocket,
  setCloseMode,
  tuneServer,
  type Close,
  type CloseModeName,
  type ServerTuning,
} from '../../lib'
import { observeClose } from '../../lib/close/hooks'
import { coded } from '../helpers/coded'
import { closeLater, tcpSocket } from '../sockets'
import { until } from '../helpers/until'
import { connected, type Transport } from './pair'

/** Resolves with the mode that the socket is closed in. */
function modeOfClose(socket: net.Socket): Promise<CloseModeName> {
  return new Promise((resolve) => {
    observeClose(socket, ({ mode }) => {
      resolve(mode)
    })
  })
}

const BY_REASON: Close = { mode: 'deliver', onTimeout: 'reset', onError: 'lingering' }

describe.each<Transport>(['tcp', 'tls'])(
  'the mode in which a socket over %s is closed',
  (transport) => {
    it("is onTimeout if the socket is destroyed in its 'timeout' event", async () => {
      const { client } = await connected(transport)
      setCloseMode(client, BY_REASON)
      const mode = modeOfClose(client)
      client.setTimeout(1, () => client.destroy())
      expect(await mode).toBe('reset')
    })

    it("is the plain mode if data was sent after the 'timeout' event", async () => {
      const { client, peer } = await connected(transport)
      setCloseMode(client, BY_REASON)
      const mode = modeOfClose(client)
      client.setTimeout(1)
      await once(client, 'timeout')
      client.setTimeout(0)
      client.write('alive')
      await once(peer, 'data')
      client.destroy()
      expect(await mode).toBe('deliver')
    })

    it('is onError if the socket is destroyed with an error', async () => {
      const { client } = await connected(transport)
      setCloseMode(client, BY_REASON)
      const mode = modeOfClose(client)
      client.destroy(new Error('given up'))
      expect(await mode).toBe('lingering')
    })

    it('is the plain mode without a time-out or an error', async () => {
      const { client } = await connected(transport)
      setCloseMode(client, BY_REASON)
      const mode = modeOfClose(client)
      client.destroy()
      expect(await mode).toBe('deliver')
    })
  },
)

describe('closeSocket with onTimeout', () => {
  it('resets a connection at the deadline if its peer reads nothing', async () => {
    const pair = await connected()
    pair.peer.pause()
    pair.client.write(Buffer.alloc(20_000_000))
    const report = await closeSocket(pair.client, {
      mode: 'deliver',
      deadlineMs: 50,
      onTimeout: 'reset',
    })
    expect(report).toMatchObject({
      requested: 'deliver',
      mode: 'reset',
      fallback: { code: 'deadline' },
      timeWait: 'avoided',
    })
    expect(report.discardedBytes + report.inFlightBytes).toBeGreaterThan(0)
  })

  it("resets a connection at the deadline if the peer's kernel holds all data unread", async () => {
    const pair = await connected()
    pair.peer.pause()
    // More than the peer's kernel accepts at first, and less than both kernels hold: the stream becomes empty.
    pair.client.write(Buffer.alloc(200_000))
    await until(
      'the stream is empty',
      () => pair.client.writableLength,
      (length) => length === 0,
    )
    const report = await closeSocket(pair.client, {
      mode: 'lingering',
      deadlineMs: 50,
      onTimeout: 'reset',
    })
    expect(report).toMatchObject({ mode: 'reset', fallback: { code: 'deadline' } })
    expect(await pair.left()).toBeUndefined()
  })

  it("uses the socket's close mode for time-outs if it is called without a mode", async () => {
    const pair = await connected()
    setCloseMode(pair.client, BY_REASON)
    pair.peer.pause()
    pair.client.write(Buffer.alloc(20_000_000))
    pair.client.setTimeout(1)
    await once(pair.client, 'timeout')
    const report = await closeSocket(pair.client)
    expect(report).toMatchObject({ requested: 'reset', mode: 'reset' })
  })
})

describe('an http server under a close mode with onTimeout', () => {
  async function serving(
    options: http.ServerOptions,
  ): Promise<{ server: http.Server; tuning: ServerTuning; client: net.Socket }> {
    const server = http.createServer(
      { connectionsCheckingInterval: 10, ...options },
      (_, response) => response.end('ok'),
    )
    closeLater(() => server.close())
    closeLater(() => {
      server.closeAllConnections()
    })
    const tuning = tuneServer(server, { close: { mode: 'deliver', onTimeout: 'reset' } })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
    closeLater(() => client.destroy())
    client.on('error', () => undefined)
    return { server, tuning, client }
  }

  async function resets({
    tuning,
    client,
  }: {
    tuning: ServerTuning
    client: net.Socket
  }): Promise<void> {
    client.resume()
    await until(
      'the close is counted',
      () => tuning.counters().closes,
      ({ reset, deliver }) => reset + deliver === 1,
    )
    expect(tuning.counters().closes).toMatchObject({ reset: 1, deliver: 0 })
  }

  it('resets a connection that was idle for keepAliveTimeout', async () => {
    const run = await serving({ keepAliveTimeout: 1 })
    run.client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await resets(run)
  })

  it('resets a connection whose headers do not arrive within headersTimeout', async () => {
    const run = await serving({ headersTimeout: 20, requestTimeout: 20 })
    run.client.write('GET / HTTP/1.1\r\n')
    await resets(run)
  })

  it('resets a connection whose body does not arrive within requestTimeout', async () => {
    const run = await serving({ headersTimeout: 20, requestTimeout: 20 })
    run.client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf')
    await resets(run)
  })

  it('delivers the response to a request with Connection: close', async () => {
    const { tuning, client } = await serving({})
    client.resume().write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await once(client, 'end')
    await until(
      'the close is counted',
      () => tuning.counters().closes.deliver,
      (count) => count === 1,
    )
    expect(tuning.counters().closes.reset).toBe(0)
  })
})

describe('a close mode on a descriptor number', () => {
  it.each([
    ['onEnd', 'close'],
    ['onTimeout', 'reset'],
    ['onError', 'reset'],
  ])('refuses %s, which needs a stream', (name, value) => {
    const close = { mode: 'deliver', [name]: value } as Close
    expect(() => {
      setCloseMode(tcpSocket(), close)
    }).toThrow(coded('ERR_INVALID_ARG_VALUE'))
  })
})

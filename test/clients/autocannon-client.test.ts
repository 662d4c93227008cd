/** Contract tests: the assumptions of lib/clients/autocannon/tune-client.ts about autocannon's Client. */
import { once, type EventEmitter } from 'node:events'
import * as http from 'node:http'
import { createRequire } from 'node:module'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { answerNextConnect } from '../../lib/node/next-connect'
import { makeCertificate } from '../helpers/certificate'
import { closeLater, listen, loopback } from '../sockets'

const certificate = makeCertificate()
const load = createRequire(__filename)

/** The members of a Client that the library uses, and those that make it reconnect. */
interface Client extends EventEmitter {
  readonly destroyed: boolean
  readonly conn: net.Socket
  _connect: () => void
  destroy(): void
}

type ClientClass = new (options: object) => Client

describe.each(['autocannon', 'autocannon9'])('Client of %s', (name) => {
  const ClientOf = load(`${name}/lib/httpClient`) as ClientClass

  async function client(options: {
    protocol?: 'https:'
    reconnectRate?: number
    setupClient?: (client: Client) => void
  }): Promise<Client> {
    const answer: http.RequestListener = (_request, response) => response.end('answer')
    const server =
      options.protocol === undefined
        ? http.createServer(answer)
        : tls.createServer(certificate, (socket) => socket.resume())
    const port = await listen(server)
    const started = new ClientOf({ hostname: loopback[4], port, ...options })
    closeLater(() => {
      started.destroy()
      if (server instanceof http.Server) server.closeAllConnections()
    })
    return started
  }

  it('is passed to setupClient before _connect makes the first connection', async () => {
    const states: unknown[] = []
    await client({
      setupClient: (fresh) => {
        states.push(typeof fresh._connect, fresh.destroyed, (fresh as { conn?: unknown }).conn)
      },
    })
    expect(states).toEqual(['function', false, undefined])
  })

  it.each([undefined, 'https:'] as const)(
    'connects with one call of net.connect() or tls.connect() in _connect (%s)',
    async (protocol) => {
      let called = false
      const connections: unknown[] = []
      const fresh = await client({
        ...(protocol === undefined ? {} : { protocol }),
        setupClient: (own) => {
          const connect = own._connect.bind(own)
          own._connect = () => {
            const [tcp, secure] = [net.connect.bind(net), tls.connect.bind(tls)] as unknown as [
              (...args: readonly unknown[]) => net.Socket,
              (...args: readonly unknown[]) => net.Socket,
            ]
            const remember = (how: string, socket: net.Socket): net.Socket => {
              connections.push(how, socket)
              return socket
            }
            called = answerNextConnect(connect, {
              connect: (...args) => remember('net', tcp(...args)),
              connectTls: (...args) => remember('tls', secure(...args)),
            })
          }
        },
      })
      expect(called).toBe(true)
      expect(connections).toEqual([protocol === undefined ? 'net' : 'tls', fresh.conn])
    },
  )

  it('calls _connect again for each later connection', async () => {
    const connects = jest.fn()
    const fresh = await client({
      reconnectRate: 1,
      setupClient: (own) => {
        const connect = own._connect.bind(own)
        own._connect = () => {
          connects()
          connect()
        }
      },
    })
    const { conn } = fresh
    while (fresh.conn === conn) await once(fresh, 'headers')
    expect(connects.mock.calls.length).toBeGreaterThan(1)
  })
})

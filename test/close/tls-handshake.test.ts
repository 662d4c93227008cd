/** Closes by `deliver` of TLS clients that will get no session ticket. */
import { once } from 'node:events'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { closeSocket, closeTotals, setCloseMode } from '../../lib'
import { native } from '../../lib/kernel/binding'
import { makeCertificate } from '../helpers/certificate'
import { closeLater, destroyLater, listen } from '../sockets'
import { Relay } from './pair'

const certificate = makeCertificate()
const trusting = { host: '127.0.0.1', ca: certificate.cert, servername: 'localhost' }

async function serve(options: tls.TlsOptions = {}): Promise<number> {
  const server = tls.createServer({ ...certificate, ...options }, destroyLater)
  server.on('tlsClientError', () => undefined)
  return listen(server)
}

/** Accepts connections and answers nothing. */
async function serveSilence(): Promise<number> {
  return listen(net.createServer(destroyLater))
}

function connect(options: tls.ConnectionOptions): tls.TLSSocket {
  const socket = tls.connect({ ...trusting, ...options })
  destroyLater(socket)
  setCloseMode(socket, 'deliver')
  return socket
}

/** Resolves when the socket is closed: whether its descriptor was kept open beyond that. */
async function isHeld(socket: tls.TLSSocket): Promise<boolean> {
  const duplicate = jest.spyOn(native, 'duplicateFd')
  closeLater(() => {
    duplicate.mockRestore()
  })
  await new Promise((resolve) => socket.once('close', resolve))
  return duplicate.mock.calls.length > 0
}

type Situation = [string, () => Promise<tls.TLSSocket>]

const situations: Situation[] = [
  [
    'its server never answers the handshake',
    async () => {
      const socket = connect({ port: await serveSilence() })
      socket.once('connect', () => socket.destroy())
      return socket
    },
  ],
  [
    'its server never answers the handshake, and it has ended',
    async () => {
      const socket = connect({ port: await serveSilence() })
      socket.once('connect', () => {
        socket.destroySoon()
      })
      return socket
    },
  ],
  [
    'it refuses the certificate',
    async () => connect({ port: await serve(), servername: 'other.test' }),
  ],
  [
    'it refuses the certificate with a request waiting',
    async () => {
      const socket = connect({ port: await serve(), servername: 'other.test' })
      socket.write('request')
      return socket
    },
  ],
  [
    'no protocol is common',
    async () => connect({ port: await serve({ ALPNProtocols: ['a'] }), ALPNProtocols: ['b'] }),
  ],
  [
    "it is destroyed in 'secureConnect'",
    async () => {
      const socket = connect({ port: await serve() })
      socket.once('secureConnect', () => socket.destroy())
      return socket
    },
  ],
  [
    "it is destroyed after await once(socket, 'secureConnect')",
    async () => {
      const socket = connect({ port: await serve() })
      void once(socket, 'secureConnect').then(() => socket.destroy())
      return socket
    },
  ],
]

describe("mode 'deliver' of a TLS 1.3 client", () => {
  it.each(situations)('closes its descriptor at once when %s', async (_, open) => {
    const before = closeTotals().closes.deliver
    const socket = await open()
    expect(await isHeld(socket)).toBe(false)
    expect(closeTotals().closes.deliver).toBe(before + 1)
  })

  it('waits for tickets when it is destroyed after the handshake', async () => {
    const relay = new Relay()
    const socket = connect({ port: await relay.to(await serve()) })
    socket.once('secureConnect', () => {
      relay.keep()
      setImmediate(() => socket.destroy())
    })
    expect(await isHeld(socket)).toBe(true)
    relay.release()
  })

  it("waits for tickets when closeSocket() is called in 'secureConnect' after a write", async () => {
    const relay = new Relay()
    const socket = connect({ port: await relay.to(await serve()) })
    const closed = new Promise((resolve, reject) => {
      socket.once('secureConnect', () => {
        relay.keep()
        socket.write('x')
        closeSocket(socket, 'deliver').then(resolve, reject)
      })
    })
    expect(await isHeld(socket)).toBe(true)
    relay.release()
    expect(await closed).toMatchObject({ mode: 'deliver', discardedBytes: 0 })
  })
})

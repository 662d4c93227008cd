/** Closes of TLS sockets before or right after the end of the handshake. */
import { once } from 'node:events'
import * as net from 'node:net'
import * as tls from 'node:tls'
import { closeSocket, closeTotals, setCloseMode } from '../../lib'
import { native } from '../../lib/kernel/binding'
import { makeCertificate } from '../helpers/certificate'
import { closeLater, destroyLater, listen } from '../sockets'
import { Relay } from './pair'
import { nextWarning } from './warning'

const certificate = makeCertificate()
const trusting = { host: '127.0.0.1', ca: certificate.cert, servername: 'localhost' }

async function serve(options: tls.TlsOptions = {}): Promise<number> {
  const server = tls.createServer({ ...certificate, ...options }, destroyLater)
  server.on('tlsClientError', () => undefined)
  return listen(server)
}

/** Starts a server that accepts connections and never answers. */
async function serveSilence(): Promise<number> {
  return listen(net.createServer(destroyLater))
}

function connect(options: tls.ConnectionOptions): tls.TLSSocket {
  const socket = tls.connect({ ...trusting, ...options })
  destroyLater(socket)
  setCloseMode(socket, 'deliver')
  return socket
}

/** Waits until the socket is closed, and returns whether its descriptor is still open. */
async function isHeld(socket: tls.TLSSocket): Promise<boolean> {
  const duplicate = jest.spyOn(native, 'duplicateFd')
  closeLater(() => {
    duplicate.mockRestore()
  })
  await new Promise((resolve) => socket.once('close', resolve))
  return duplicate.mock.calls.length > 0
}

/** Makes a server's TLS socket over the connection of a silent client. */
async function acceptSilence(): Promise<tls.TLSSocket> {
  const server = net.createServer()
  const accepting = once(server, 'connection')
  destroyLater(net.connect(await listen(server), '127.0.0.1'))
  const [carrier] = (await accepting) as [net.Socket]
  destroyLater(carrier)
  const socket = new tls.TLSSocket(carrier, { isServer: true, ...certificate })
  destroyLater(socket)
  return socket
}

/** Makes a client whose server never answers the handshake. */
async function connectInVain(over?: net.Socket): Promise<tls.TLSSocket> {
  const port = await serveSilence()
  const carrier = over?.connect(port, '127.0.0.1')
  const socket = tls.connect({ ...trusting, port, ...(carrier && { socket: carrier }) })
  destroyLater(socket)
  await once(carrier ?? socket, 'connect')
  return socket
}

const LOST = 100_000

/** Sockets whose handshake is incomplete. */
const unfinished: Record<string, () => Promise<tls.TLSSocket>> = {
  'a client': () => connectInVain(),
  'a client over a net.Socket': async () => {
    const carrier = new net.Socket()
    destroyLater(carrier)
    return connectInVain(carrier)
  },
  'a server': acceptSilence,
}

describe.each(Object.entries(unfinished))(
  'the data that %s wrote before the end of its TLS handshake',
  (_, open) => {
    it('is reported as discarded by a reset', async () => {
      const socket = await open()
      socket.write(Buffer.alloc(LOST))
      const report = await closeSocket(socket, 'reset')
      expect(report).toMatchObject({ mode: 'reset', discardedBytes: LOST })
    })

    it.each(['fin', 'deliver', 'lingering'] as const)(
      'is reported as discarded by a close in mode %s that is aborted',
      async (mode) => {
        const socket = await open()
        socket.write(Buffer.alloc(LOST))
        const abort = new AbortController()
        const closed = closeSocket(socket, mode, { signal: abort.signal })
        abort.abort()
        const fallback = { code: 'aborted' }
        expect(await closed).toMatchObject({ fallback, discardedBytes: LOST })
      },
    )

    it('is counted as discarded, with a warning, if the program destroys the socket', async () => {
      const socket = await open()
      setCloseMode(socket, 'deliver')
      socket.write(Buffer.alloc(LOST))
      const { discardedBytes } = closeTotals()
      const warning = nextWarning('SOCKET_TUNER_DESTROY_DISCARDS')
      await once(socket.destroy(), 'close')
      expect(closeTotals().discardedBytes).toBe(discardedBytes + LOST)
      expect(await warning).toContain(String(LOST))
    })
  },
)

describe('the data that a TLS client wrote before the end of its handshake', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    "is reported as discarded by a reset in 'secureConnect' of %s",
    async (maxVersion) => {
      const socket = connect({ port: await serve({ maxVersion }) })
      socket.write(Buffer.alloc(LOST))
      const closed = new Promise((resolve, reject) => {
        socket.once('secureConnect', () => {
          closeSocket(socket, 'reset').then(resolve, reject)
        })
      })
      expect(await closed).toMatchObject({ discardedBytes: LOST })
    },
  )

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'is delivered after the handshake of %s, and not reported as discarded',
    async (maxVersion) => {
      const server = tls.createServer({ ...certificate, maxVersion })
      const received = new Promise<number>((resolve) => {
        server.once('secureConnection', (accepted) => {
          destroyLater(accepted)
          let bytes = 0
          accepted.on('data', ({ length }: Buffer) => (bytes += length))
          accepted.once('end', () => {
            resolve(bytes)
          })
        })
      })
      const socket = connect({ port: await listen(server) })
      socket.write(Buffer.alloc(LOST))
      expect(await closeSocket(socket, 'deliver')).toMatchObject({ discardedBytes: 0 })
      expect(await received).toBe(LOST)
    },
  )

  it.each([
    ['is refused', { servername: 'other.test' }],
    ['finds no common protocol', { ALPNProtocols: ['b'] }],
  ])(
    'is not counted as discarded if the handshake %s, which the error reports',
    async (_, options) => {
      const port = await serve({ ALPNProtocols: ['a'] })
      const socket = connect({ port, ...options })
      socket.write('request')
      const { discardedBytes } = closeTotals()
      await once(socket, 'error')
      if (!socket.closed) await once(socket, 'close')
      expect(closeTotals().discardedBytes).toBe(discardedBytes)
    },
  )
})

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

describe("close mode 'deliver' of a TLS 1.3 client", () => {
  it.each(situations)('closes the descriptor at once if %s', async (_, open) => {
    const before = closeTotals().closes.deliver
    const socket = await open()
    expect(await isHeld(socket)).toBe(false)
    expect(closeTotals().closes.deliver).toBe(before + 1)
  })

  it('waits for session tickets if the socket is destroyed after the handshake', async () => {
    const relay = new Relay()
    const socket = connect({ port: await relay.to(await serve()) })
    socket.once('secureConnect', () => {
      relay.keep()
      setImmediate(() => socket.destroy())
    })
    expect(await isHeld(socket)).toBe(true)
    relay.release()
  })

  it("waits for session tickets if closeSocket() is called in 'secureConnect' after a write", async () => {
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

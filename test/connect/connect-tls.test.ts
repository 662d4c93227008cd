import { once } from 'node:events'
import type * as net from 'node:net'
import * as tls from 'node:tls'
import { getOption, type TuningOptions } from '../../lib'
import { policyOf } from '../../lib/close/hooks'
import { connectTls } from '../../lib/connect/connect-tls'
import { prepareTuning, tuningOptions } from '../../lib/connect/tuning'
import { makeCertificate, type Certificate } from '../helpers/certificate'
import { coded } from '../helpers/coded'
import { destroyLater, listen, loopback } from '../sockets'
import { errorOf, expectNoMoreThan, openDescriptors } from './descriptors'
import { FOREIGN } from '../helpers/foreign-address'

const host = loopback[4]
let certificate: Certificate

beforeAll(() => {
  certificate = makeCertificate()
})

async function serve(): Promise<number> {
  const server = tls.createServer({ ...certificate, ALPNProtocols: ['h2', 'http/1.1'] })
  server.on('secureConnection', (socket) => {
    destroyLater(socket)
    socket.pipe(socket)
  })
  server.on('tlsClientError', () => undefined)
  return listen(server)
}

function open(
  options: tls.ConnectionOptions & net.NetConnectOpts,
  tuning: TuningOptions = {},
): tls.TLSSocket {
  const all = { ca: certificate.cert, servername: 'localhost', ...options }
  const socket = connectTls(all, prepareTuning(tuningOptions.check('tuning', tuning)))
  destroyLater(socket)
  return socket
}

describe('connectTls()', () => {
  it.each([host, 'localhost'])('connects to %s over a tuned connection', async (to) => {
    const port = await serve()
    const socket = open(
      { host: to, port, ALPNProtocols: ['http/1.1'] },
      { settings: { TCP_KEEPIDLE: 44 }, source: '127.0.0.7', close: 'deliver' },
    )
    await once(socket, 'secureConnect')
    expect(socket.authorized).toBe(true)
    expect(socket.alpnProtocol).toBe('http/1.1')
    expect(socket.localAddress).toBe('127.0.0.7')
    expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(44)
    expect(policyOf(socket)?.socket).toBe(socket)
    socket.setEncoding('utf8').write('echo')
    expect(await once(socket, 'data')).toEqual(['echo'])
  })

  it.each<[string, object, string]>([
    ['the connection is refused', { port: 1 }, 'ECONNREFUSED'],
    ['the source is not on this host', { localAddress: FOREIGN }, 'EADDRNOTAVAIL'],
    [
      'the certificate has another name',
      { servername: 'other.test' },
      'ERR_TLS_CERT_ALTNAME_INVALID',
    ],
    ['the signal is aborted', { signal: AbortSignal.abort() }, 'ABORT_ERR'],
  ])('fails if %s, and leaves nothing open', async (_, options, code) => {
    const port = await serve()
    const before = openDescriptors()
    const socket = open({ host, port, ...options })
    expect(await errorOf(socket)).toMatchObject({ code })
    // The server may close its end later.
    await expectNoMoreThan(before + 1)
  })

  it.each(['connect', 'secureConnect', 'data'])(
    "fails once when the signal is aborted in '%s', and leaves nothing open",
    async (event) => {
      const port = await serve()
      const before = openDescriptors()
      const controller = new AbortController()
      const socket = open(
        { host: 'localhost', port, signal: controller.signal },
        { close: 'deliver' },
      )
      const errors: Error[] = []
      socket.on('error', (error: Error) => errors.push(error))
      socket.on('secureConnect', () => socket.write('echo'))
      socket.on(event, () => {
        controller.abort()
        socket.destroy()
      })
      await new Promise((resolve) => socket.once('close', resolve))
      expect(errors).toEqual([coded('ABORT_ERR')])
      await expectNoMoreThan(before + 1)
    },
  )

  it('refuses a signal that is not an AbortSignal, and closes the connection', async () => {
    const port = await serve()
    const before = openDescriptors()
    const signal = {} as AbortSignal
    expect(() => open({ host, port, signal })).toThrow(coded('ERR_INVALID_ARG_TYPE'))
    await expectNoMoreThan(before)
  })

  it('closes the connection if TLS options are invalid', async () => {
    const port = await serve()
    const before = openDescriptors()
    expect(() => open({ host, port, minVersion: 'TLSv0' as 'TLSv1' })).toThrow(
      expect.objectContaining({ code: 'ERR_TLS_INVALID_PROTOCOL_VERSION' }) as Error,
    )
    expect(() => open({ host, port: 1, minVersion: 'TLSv0' as 'TLSv1' })).toThrow()
    await expectNoMoreThan(before)
  })
})

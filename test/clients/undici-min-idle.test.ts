import { once } from 'node:events'
import * as http2 from 'node:http2'
import type * as net from 'node:net'
import { tunedConnector, type TunedConnectorOptions } from '../../lib/clients/undici'
import { expectNoMoreThan, openDescriptors } from '../connect/descriptors'
import { makeCertificate } from '../helpers/certificate'
import { coded } from '../helpers/coded'
import { answer, type ScriptedServer } from '../helpers/scripted-server'
import { until } from '../helpers/until'
import { closeLater } from '../sockets'
import { serve, unnoticed } from './asking'
import { describeReleases, type Undici } from './undici-releases'

const certificate = makeCertificate()

function connectorOf(options: TunedConnectorOptions): ReturnType<typeof tunedConnector> {
  const connector = tunedConnector(options)
  closeLater(() => {
    connector.close()
  })
  return connector
}

function originOf({ port }: ScriptedServer, protocol = 'http'): string {
  return `${protocol}://localhost:${String(port)}`
}

async function untilOpen(server: ScriptedServer, open: number): Promise<void> {
  await until(
    `${String(open)} are open`,
    () => server.open,
    (now) => now === open,
  )
}

describe('tunedConnector() without minIdle', () => {
  it('has no warm()', () => {
    expect(() => tunedConnector().warm('http://localhost/')).toThrow(coded('ERR_INVALID_ARG_VALUE'))
  })
})

describe('tunedConnector({ minIdle })', () => {
  it.each<[unknown, string]>([
    [undefined, 'ERR_INVALID_ARG_TYPE'],
    ['nowhere', 'ERR_INVALID_URL'],
    ['ftp://localhost/', 'ERR_INVALID_ARG_VALUE'],
  ])('refuses the origin %o', (origin, code) => {
    const connector = connectorOf({ minIdle: 1 })
    expect(() => connector.warm(origin as string)).toThrow(coded(code))
  })

  it('replaces a connection that its server closes', async () => {
    const server = await serve()
    const connector = connectorOf({ minIdle: 2 })
    await connector.warm(originOf(server))
    await untilOpen(server, 2)
    server.sockets[0]?.destroy()
    await until(
      'it is replaced',
      () => connector.counters(),
      ({ warmed }) => warmed === 3,
    )
    expect(connector.counters()).toMatchObject({ created: 3, warmedLost: 1, warmedUsed: 0 })
  })

  it('closes its idle connections by close(), and leaves no descriptor open', async () => {
    const server = await serve()
    const before = openDescriptors()
    const connector = connectorOf({ minIdle: 3 })
    await connector.warm(originOf(server))
    connector.close()
    await untilOpen(server, 0)
    await expectNoMoreThan(before)
    expect(connector.counters()).toMatchObject({ created: 3, warmed: 3, warmedLost: 3 })
  })

  it('closes connecting sockets by close()', async () => {
    const server = await serve()
    const connector = connectorOf({ minIdle: 2 })
    const warmed = connector.warm(originOf(server))
    connector.close()
    await expect(warmed).rejects.toEqual(coded('ERR_SOCKET_TUNER_DESTROYED'))
    expect(connector.counters().created).toBe(0)
  })

  it('opens one connection at a time while the server refuses', async () => {
    const server = await serve()
    const origin = originOf(server)
    server.close()
    const connector = connectorOf({ minIdle: 3 })
    await expect(connector.warm(origin)).rejects.toEqual(coded('ECONNREFUSED'))
    const { created, warmFailed, warmed } = await until(
      'it has tried again',
      () => connector.counters(),
      (counters) => counters.warmFailed > 3,
    )
    expect(created - warmFailed).toBeLessThanOrEqual(1)
    expect(warmed).toBe(0)
  })

  it('keeps no connection that speaks HTTP/2', async () => {
    const server = http2.createSecureServer(certificate).listen(0, 'localhost')
    await once(server, 'listening')
    closeLater(() => server.close())
    const { port } = server.address() as net.AddressInfo
    const connector = connectorOf({
      minIdle: 1,
      allowH2: true,
      ca: certificate.cert,
      preferH2: true,
    })
    await connector.warm(`https://localhost:${String(port)}`)
    expect(connector.counters()).toMatchObject({ created: 1, warmed: 1, warmedLost: 1 })
  })
})

describeReleases('tunedConnector({ minIdle }) for requests', (load) => {
  let undici: Undici

  beforeAll(async () => {
    undici = await load()
  })

  function ask(origin: string, connect: ReturnType<typeof tunedConnector>) {
    const dispatcher = new undici.Agent({ connect })
    closeLater(() => void dispatcher.destroy())
    return async (method: 'GET' | 'POST' = 'GET') => {
      const { body } = await undici.request(origin, { dispatcher, method })
      return body.text()
    }
  }

  it('gives an open connection to undici, and opens another one', async () => {
    const server = await serve()
    const connector = connectorOf({ minIdle: 1 })
    await connector.warm(originOf(server))
    expect(await ask(originOf(server), connector)()).toBe('answer')
    expect(server.asked[0]?.connection).toBe(1)
    await until(
      'another one is ready',
      () => connector.counters(),
      ({ warmed }) => warmed === 2,
    )
    expect(connector.counters()).toMatchObject({ created: 2, warmedUsed: 1, reused: 0 })
  })

  it('opens connections for an origin after its first request', async () => {
    const server = await serve()
    const connector = connectorOf({ minIdle: 1 })
    await ask(originOf(server), connector)()
    await until(
      'another one is ready',
      () => connector.counters(),
      ({ warmed }) => warmed === 1,
    )
    expect(connector.counters()).toMatchObject({ created: 2, warmed: 1, warmedUsed: 0 })
    await untilOpen(server, 2)
  })

  it('gives TLS connections to undici, by the server name of the request', async () => {
    const server = await serve(undefined, certificate)
    const connector = connectorOf({ minIdle: 1, ca: certificate.cert })
    await connector.warm(originOf(server, 'https'))
    expect(await ask(originOf(server, 'https'), connector)()).toBe('answer')
    expect(connector.counters()).toMatchObject({ warmedUsed: 1 })
  })

  it('gives no connection to undici that its server has closed', async () => {
    const server = await serve()
    const connector = connectorOf({ minIdle: 1 })
    await connector.warm(originOf(server))
    await untilOpen(server, 1)
    unnoticed(server)
    expect(await ask(originOf(server), connector)('POST')).toBe('answer')
    expect(connector.counters()).toMatchObject({ deadBeforeReuse: 1, warmedUsed: 0 })
  })

  it('resends an idempotent request that fails on such a connection', async () => {
    const server = await serve((socket, { connection }) => {
      if (connection === 1) socket.resetAndDestroy()
      else answer(socket)
    })
    const connector = connectorOf({ minIdle: 1 })
    await connector.warm(originOf(server))
    expect(await ask(originOf(server), connector)()).toBe('answer')
    expect(connector.counters()).toMatchObject({ retried: 1 })
  })

  it('replaces a connection before its server closes it as announced', async () => {
    const server = await serve((socket) => {
      answer(socket, 'answer', 'Keep-Alive: timeout=2\r\n')
    })
    const connector = connectorOf({ minIdle: 1 })
    await connector.warm(originOf(server))
    await ask(originOf(server), connector)()
    await until(
      'one has expired unused',
      () => connector.counters(),
      ({ expired, warmedLost }) => expired > 0 && warmedLost > 0,
    )
    const { warmed, warmedUsed, warmedLost, warmFailed } = connector.counters()
    expect(warmed - warmedUsed - warmedLost).toBeGreaterThan(0)
    expect(warmFailed).toBe(0)
  })
})

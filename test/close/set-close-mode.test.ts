import { once } from 'node:events'
import * as http2 from 'node:http2'
import * as net from 'node:net'
import {
  closeSocket,
  closeTotals,
  configure,
  getOption,
  setCloseMode,
  type CloseModeName,
} from '../../lib'
import { observeClose } from '../../lib/close/hooks'
import type { Closed } from '../../lib/close/modes'
import { coded } from '../helpers/coded'
import type { State } from '../helpers/tcp-table'
import { until } from '../helpers/until'
import { closeLater, tcpSocket } from '../sockets'
import { connected, type Pair, type Transport } from './pair'
import { nextWarning } from './warning'

/** Waits until both ends are closed, and returns the state that is left at the client's end. */
async function leftOf(pair: Pair): Promise<State | undefined> {
  await pair.peerClosed
  return pair.left()
}

describe.each<Transport>(['tcp', 'tls'])(
  'a socket over %s with close mode deliver',
  (transport) => {
    it.each(['destroy', 'destroySoon'] as const)('leaves no TIME_WAIT after %s()', async (way) => {
      const pair = await connected(transport)
      setCloseMode(pair.client, 'deliver')
      pair.client.write('request')
      await until(
        'the request is there',
        () => pair.received.bytes,
        (bytes) => bytes === 7,
      )
      pair.client[way]()
      expect(await leftOf(pair)).toBeUndefined()
      expect(pair.received).toEqual({ bytes: 7, ended: true, error: undefined })
    })

    it('delivers data written right before destroySoon()', async () => {
      const pair = await connected(transport)
      setCloseMode(pair.client, 'deliver')
      pair.peer.pause()
      pair.client.write(Buffer.alloc(3_000_000))
      pair.client.destroySoon()
      pair.peer.resume()
      await pair.peerClosed
      expect(pair.received).toEqual({ bytes: 3_000_000, ended: true, error: undefined })
    })

    it('is still only half-closed by end()', async () => {
      const pair = await connected(transport, { allowHalfOpen: true })
      setCloseMode(pair.client, 'deliver')
      pair.client.end('last words')
      await once(pair.peer, 'end')
      const answer = once(pair.client, 'data')
      pair.peer.write('still heard')
      const [chunk] = (await answer) as [Buffer]
      expect(chunk.toString()).toBe('still heard')
    })
  },
)

describe.each(['deliver', 'reset'] as const)(
  'a connection with close mode %s that is closed by end()',
  (mode) => {
    it('is counted as fin, with its TIME_WAIT, and causes a warning', async () => {
      const pair = await connected()
      setCloseMode(pair.client, mode)
      const before = closeTotals()
      const warning = nextWarning('SOCKET_TUNER_END_LEAVES_TIME_WAIT')
      pair.client.resume().end('request')
      await once(pair.client, 'close')
      expect(await leftOf(pair)).toBe('TIME_WAIT')
      const { closes, fallbacks, timeWaitLeft } = closeTotals()
      expect(closes).toEqual({ ...before.closes, fin: before.closes.fin + 1 })
      expect(fallbacks).toEqual({ ...before.fallbacks, ended: (before.fallbacks.ended ?? 0) + 1 })
      expect(timeWaitLeft).toBe(before.timeWaitLeft + 1)
      expect(await warning).toContain(`'${mode}'`)
    })
  },
)

describe('setCloseMode', () => {
  it('makes destroy() send a RST in mode reset', async () => {
    const pair = await connected()
    setCloseMode(pair.client, 'reset')
    pair.client.destroy()
    expect(await leftOf(pair)).toBeUndefined()
    expect(pair.received.error).toBe('ECONNRESET')
  })

  it('makes destroySoon() send a RST and no FIN in mode reset', async () => {
    const pair = await connected()
    setCloseMode(pair.client, 'reset')
    pair.client.write('heard')
    await until(
      'it is heard',
      () => pair.received.bytes,
      (bytes) => bytes === 5,
    )
    pair.client.destroySoon()
    expect(await leftOf(pair)).toBeUndefined()
    expect(pair.received).toEqual({ bytes: 5, ended: false, error: 'ECONNRESET' })
  })

  it('makes destroySoon() read until the peer has finished in mode lingering', async () => {
    const pair = await connected('tcp', { allowHalfOpen: true })
    setCloseMode(pair.client, 'lingering')
    let answer = ''
    pair.peer.on('data', (chunk: Buffer) => (answer += chunk.toString()))
    pair.client.write('413')
    pair.client.destroySoon()
    await once(pair.client, 'close')
    pair.peer.end(Buffer.alloc(5_000_000))
    await pair.peerClosed
    expect(answer).toBe('413')
    expect(pair.received.error).toBeUndefined()
  })

  it('restores the close of Node with null, which is not counted', async () => {
    const pair = await connected()
    setCloseMode(pair.client, 'deliver')
    setCloseMode(pair.client, null)
    const { fin, deliver } = closeTotals().closes
    pair.client.destroy()
    expect(await leftOf(pair)).toBe('TIME_WAIT')
    expect(closeTotals().closes).toMatchObject({ fin, deliver })
  })

  it('counts closes in mode fin, together with their TIME_WAIT', async () => {
    const pair = await connected()
    setCloseMode(pair.client, 'fin')
    const outcomes: Closed[] = []
    observeClose(pair.client, (outcome) => outcomes.push(outcome))
    const { fin } = closeTotals().closes
    pair.client.destroy()
    expect(await leftOf(pair)).toBe('TIME_WAIT')
    expect(closeTotals().closes.fin).toBe(fin + 1)
    expect(outcomes).toMatchObject([{ mode: 'fin', timeWait: 'here' }])
  })

  it('replaces a mode that was set before', async () => {
    const pair = await connected()
    for (const mode of ['reset', 'lingering', 'deliver'] as const) setCloseMode(pair.client, mode)
    pair.client.destroy()
    expect(await leftOf(pair)).toBeUndefined()
    expect(pair.received).toMatchObject({ ended: true, error: undefined })
  })

  it('does not change resetAndDestroy()', async () => {
    const pair = await connected()
    setCloseMode(pair.client, 'deliver')
    pair.client.resetAndDestroy()
    await pair.peerClosed
    expect(pair.received.error).toBe('ECONNRESET')
  })

  it('does not apply to closeSocket() with a mode of its own', async () => {
    const pair = await connected()
    setCloseMode(pair.client, 'reset')
    expect(await closeSocket(pair.client, 'deliver')).toMatchObject({ mode: 'deliver' })
    await pair.peerClosed
    expect(pair.received).toMatchObject({ ended: true, error: undefined })
  })

  it('reports bytes that destroy() discards before the kernel has them', async () => {
    const { client, peer } = await connected()
    peer.pause()
    setCloseMode(client, 'deliver')
    client.write(Buffer.alloc(64 * 2 ** 20))
    const warning = nextWarning('SOCKET_TUNER_DESTROY_DISCARDS')
    client.destroy()
    expect(await warning).toMatch(/discarded \d+ bytes/)
  })

  it('sets kernel options on a descriptor', () => {
    const fd = tcpSocket()
    setCloseMode(fd, 'deliver')
    expect(getOption(fd, 'TCP_LINGER2')).toBe(-1)
    setCloseMode(fd, 'reset')
    expect(getOption(fd, 'SO_LINGER')).toEqual({ enabled: true, seconds: 0 })
    expect(getOption(fd, 'TCP_LINGER2')).not.toBe(-1)
    setCloseMode(fd, null)
    expect(getOption(fd, 'SO_LINGER')).toEqual({ enabled: false, seconds: 0 })
  })

  it('refuses lingering for a descriptor', () => {
    const fd = tcpSocket()
    expect(() => {
      setCloseMode(fd, 'lingering')
    }).toThrow(coded('ERR_INVALID_ARG_VALUE'))
  })

  it('refuses a destroyed socket and an unknown mode', async () => {
    const { client } = await connected()
    expect(() => {
      setCloseMode(client, 'softly' as CloseModeName)
    }).toThrow(coded('ERR_INVALID_ARG_VALUE'))
    client.destroy()
    expect(() => {
      setCloseMode(client, 'deliver')
    }).toThrow(coded('ERR_SOCKET_TUNER_DESTROYED'))
  })

  it('accepts an HTTP/2 session', async () => {
    const server = http2.createServer((_request, response) => response.end('answer'))
    closeLater(() => server.close())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as net.AddressInfo
    const accepted = once(server, 'connection')
    const session = http2.connect(`http://127.0.0.1:${String(port)}`)
    await once(session, 'connect')
    setCloseMode(session, 'deliver')
    const request = session.request({ ':path': '/' })
    request.resume()
    await once(request, 'end')
    const [peer] = (await accepted) as [net.Socket]
    const client = new Promise((resolve) => session.once('close', resolve))
    session.destroy()
    await client
    await until('the server has closed', () => peer.destroyed, Boolean)
  })
})

describe('setCloseMode on a server', () => {
  it('applies to accepted sockets until it is removed, whoever destroys them', async () => {
    const server = net.createServer((peer) => {
      peer.on('data', () => {
        peer.destroySoon()
      })
    })
    closeLater(() => server.close())
    setCloseMode(server, 'deliver')
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    expect(getOption(server, 'TCP_LINGER2')).toBe(-1)
    setCloseMode(server, null)
    expect(getOption(server, 'TCP_LINGER2')).not.toBe(-1)
  })

  it('is refused if hazards are errors, but only if there is a hazard', () => {
    configure({ hazards: 'throw' })
    const server = net.createServer()
    expect(() => {
      setCloseMode(server, 'deliver')
    }).not.toThrow()
  })
})

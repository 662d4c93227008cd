import { once } from 'node:events'
import * as net from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  closeModeNames,
  closeTotals,
  getCloseMode,
  queueSizes,
  setCloseMode,
  type CloseTotals,
} from '../../lib'
import { leftStates } from '../helpers/left-states'
import { until } from '../helpers/until'
import { closeLater } from '../sockets'
import { connected, Relay, type Pair, type Transport } from './pair'

/** More than both kernels hold while the peer does not read. */
const LARGE = 8_000_000

type Way = (client: net.Socket, data: Buffer) => unknown

const ways: Readonly<Record<string, Way>> = {
  'end(data)': (client, data) => client.end(data),
  'write(data) and end()': (client, data) => {
    client.write(data)
    client.end()
  },
  'pipe()': (client, data) => Readable.from([data]).pipe(client),
  'pipeline()': (client, data) => pipeline(Readable.from([data]), client),
  'await using': async (client, data) => {
    client.write(data)
    await client[Symbol.asyncDispose]()
  },
}

/** Returns the totals of the one close in `action`. A TLS socket may be counted after its 'close'. */
async function counted(action: () => Promise<void>): Promise<object> {
  const before = closeTotals()
  await action()
  const closesSince = ({ closes }: CloseTotals): [string, number][] =>
    closeModeNames
      .map((mode): [string, number] => [mode, closes[mode] - before.closes[mode]])
      .filter(([, count]) => count > 0)
  const after = await until(
    'the close is counted',
    closeTotals,
    (now) => closesSince(now).length > 0,
  )
  return {
    closes: Object.fromEntries(closesSince(after)),
    hasFallback: JSON.stringify(after.fallbacks) !== JSON.stringify(before.fallbacks),
    timeWaitLeft: after.timeWaitLeft - before.timeWaitLeft,
  }
}

async function leftOf(pair: Pair): Promise<string | undefined> {
  await pair.peerClosed
  return pair.left()
}

describe.each<Transport>(['tcp', 'tls'])("onEnd: 'close' over %s", (transport) => {
  it.each(Object.keys(ways))(
    "makes %s deliver all data in mode 'deliver' without TIME_WAIT, which is counted as deliver",
    async (name) => {
      const pair = await connected(transport)
      setCloseMode(pair.client, { mode: 'deliver', onEnd: 'close' })
      pair.client.resume()
      pair.peer.pause()
      const closes = await counted(async () => {
        const closed = once(pair.client, 'close')
        void ways[name]?.(pair.client, Buffer.alloc(LARGE))
        pair.peer.resume()
        await closed
        expect(await leftOf(pair)).toBeUndefined()
      })
      expect(pair.received).toEqual({ bytes: LARGE, ended: true, error: undefined })
      expect(closes).toEqual({ closes: { deliver: 1 }, hasFallback: false, timeWaitLeft: 0 })
    },
  )

  it('closes a connection whose peer keeps sending after it has received the end', async () => {
    const pair = await connected(transport, { allowHalfOpen: true })
    setCloseMode(pair.client, { mode: 'deliver', onEnd: 'close' })
    // The kernel answers it with a RST.
    pair.peer.on('end', () => {
      const chatter = setInterval(() => pair.peer.write('too late'), 1)
      pair.peer.on('close', () => {
        clearInterval(chatter)
      })
    })
    pair.client.resume().end('goodbye')
    await Promise.all([once(pair.client, 'close'), pair.peerClosed])
    expect(pair.received.bytes).toBe(7)
  })
})

describe("onEnd: 'close'", () => {
  it.each<Transport>(['tcp', 'tls'])(
    'ends the readable side too, over %s, even if the peer still sends',
    async (transport) => {
      const pair = await connected(transport, { allowHalfOpen: true })
      setCloseMode(pair.client, { mode: 'deliver', onEnd: 'close' })
      const chatter = setInterval(() => pair.peer.write('still here'), 1)
      pair.peer.once('close', () => {
        clearInterval(chatter)
      })
      await once(pair.client, 'data')
      const read = pipeline(pair.client, new PassThrough().resume())
      pair.client.end('goodbye')
      await read
      await pair.peerClosed
      expect(pair.received.bytes).toBe(7)
    },
  )

  it('closes both sockets of a proxy that pipes both ways, whichever side ends', async () => {
    for (const ending of ['front', 'back'] as const) {
      const front = await connected('tcp', { allowHalfOpen: true })
      const back = await connected('tcp', { allowHalfOpen: true })
      const [inner, outer] = [front.peer, back.client]
      for (const socket of [inner, outer])
        setCloseMode(socket, { mode: 'deliver', requirePeerData: false, onEnd: 'close' })
      inner.pipe(outer).pipe(inner)
      const [far, near] = ending === 'front' ? [front.client, back.peer] : [back.peer, front.client]
      far.resume().end('goodbye')
      near.resume()
      await Promise.all([inner, outer].map((socket) => once(socket, 'close')))
      near.end()
    }
  })

  it('closes a socket that the program does not read', async () => {
    const pair = await connected()
    setCloseMode(pair.client, { mode: 'deliver', onEnd: 'close' })
    pair.peer.write('unread')
    await until(
      'it is there',
      () => queueSizes(pair.client).unread,
      (bytes) => bytes === 6,
    )
    pair.client.end('goodbye')
    await once(pair.client, 'close')
    expect(await leftOf(pair)).toBeUndefined()
    expect(pair.received).toEqual({ bytes: 7, ended: true, error: undefined })
  })

  it("sends a FIN in mode 'fin', and closes without waiting for the peer's FIN", async () => {
    const pair = await connected('tcp', { allowHalfOpen: true })
    setCloseMode(pair.client, { mode: 'fin', onEnd: 'close' })
    const closes = await counted(async () => {
      pair.client.resume().end('goodbye')
      await once(pair.client, 'close')
      expect(pair.peer.destroyed).toBe(false)
      pair.peer.end()
      expect(await leftOf(pair)).toBe('TIME_WAIT')
    })
    expect(pair.received).toEqual({ bytes: 7, ended: true, error: undefined })
    expect(closes).toEqual({ closes: { fin: 1 }, hasFallback: false, timeWaitLeft: 1 })
  })

  it("sends a RST in mode 'reset'", async () => {
    const pair = await connected()
    setCloseMode(pair.client, { mode: 'reset', onEnd: 'close' })
    pair.client.resume().end()
    expect(await leftOf(pair)).toBeUndefined()
    expect(pair.received).toEqual({ bytes: 0, ended: false, error: 'ECONNRESET' })
  })

  it("keeps reading in mode 'lingering' until the peer has finished", async () => {
    const pair = await connected('tcp', { allowHalfOpen: true })
    setCloseMode(pair.client, { mode: 'lingering', onEnd: 'close' })
    let answer = ''
    pair.peer.on('data', (chunk: Buffer) => (answer += chunk.toString()))
    pair.client.end('413')
    await once(pair.client, 'close')
    pair.peer.end(Buffer.alloc(5_000_000))
    await pair.peerClosed
    expect(answer).toBe('413')
    expect(pair.received.error).toBeUndefined()
  })

  it('applies to a socket that is ended while it connects', async () => {
    const server = net.createServer((socket) => socket.resume())
    closeLater(() => server.close())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as net.AddressInfo
    const accepted = once(server, 'connection')
    const client = net.connect(port, '127.0.0.1')
    setCloseMode(client, { mode: 'deliver', onEnd: 'close' })
    client.resume().end('early')
    const connects = once(client, 'connect').then(() => ({
      localPort: client.localPort ?? 0,
      remotePort: port,
    }))
    const [peer] = (await accepted) as [net.Socket]
    const chunk = once(peer, 'data')
    const ends = await connects
    await Promise.all([once(client, 'close'), once(peer, 'close')])
    expect(String(await chunk)).toBe('early')
    expect(await leftStates([ends])).toEqual([undefined])
  })

  it('applies to the connections of a server, and of a proxy that pipes both ways', async () => {
    const relay = new Relay()
    const pair = await connected('tcp', {}, relay)
    pair.client.write('hello')
    await once(pair.peer, 'data')
    setCloseMode(pair.peer, { mode: 'deliver', onEnd: 'close' })
    const closes = await counted(async () => {
      pair.client.end()
      await pair.peerClosed
    })
    expect(closes).toEqual({ closes: { deliver: 1 }, hasFallback: false, timeWaitLeft: 0 })
    expect(relay.errors).toEqual([])
  })

  it('no longer applies after the mode is removed', async () => {
    const pair = await connected('tcp', { allowHalfOpen: true })
    setCloseMode(pair.client, { mode: 'deliver', onEnd: 'close' })
    expect(getCloseMode(pair.client)).toMatchObject({ mode: 'deliver', onEnd: 'close' })
    setCloseMode(pair.client, 'deliver')
    expect(getCloseMode(pair.client)).toMatchObject({ mode: 'deliver', onEnd: 'half-close' })
    expect(Object.hasOwn(pair.client, Symbol.asyncDispose)).toBe(false)
    pair.client.end('last words')
    await once(pair.peer, 'end')
    const answer = once(pair.client, 'data')
    pair.peer.end('still heard')
    expect(String((await answer)[0])).toBe('still heard')
  })

  it('reports an error that occurs while `await using` waits', async () => {
    const pair = await connected()
    setCloseMode(pair.client, { mode: 'deliver', onEnd: 'close' })
    pair.peer.pause()
    pair.client.write(Buffer.alloc(LARGE))
    const disposed = pair.client[Symbol.asyncDispose]()
    pair.peer.resetAndDestroy()
    await expect(disposed).rejects.toThrow(/ECONNRESET|EPIPE/)
  })
})

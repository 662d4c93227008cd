import { once } from 'node:events'
import type * as net from 'node:net'
import { closeSocket, setCloseMode } from '../../lib'
import { connected, type Pair } from './pair'

const SIZE = 400_000

/**
 * Writes more than the peer's kernel accepts while its program does not read. All of it is in this side's
 * kernel when the stream has finished. The peer keeps sending, and reads after `release()`.
 */
async function sendsOn(): Promise<{ pair: Pair; release: () => void }> {
  const pair = await connected('tcp', { allowHalfOpen: true })
  pair.client.resume()
  pair.peer.pause()
  const chatter = setInterval(() => pair.peer.write('still here'), 1)
  pair.peer.once('close', () => {
    clearInterval(chatter)
  })
  pair.peer.once('end', () => {
    clearInterval(chatter)
    pair.peer.end()
  })
  pair.client.write(Buffer.alloc(SIZE))
  return { pair, release: () => pair.peer.resume() }
}

/** Resolves when more data of the peer has arrived. */
function heard(client: net.Socket): Promise<unknown> {
  return once(client, 'data')
}

describe.each(['deliver', 'fin'] as const)(
  'closeSocket in mode %s, while the peer keeps sending and reads late,',
  (mode) => {
    it('keeps the descriptor open until everything is acknowledged, and loses nothing', async () => {
      const { pair, release } = await sendsOn()
      await heard(pair.client)
      const closing = closeSocket(pair.client, mode)
      await once(pair.client, 'close')
      release()
      const report = await closing
      await pair.peerClosed
      // Data that the peer sends after the close causes a RST, which may arrive before it has seen the end.
      expect(pair.received.bytes).toBe(SIZE)
      expect(report).toMatchObject({ mode, discardedBytes: 0, inFlightBytes: 0 })
      expect(report.fallback).toBeUndefined()
    })

    it('closes the descriptor when the deadline has passed, and reports that', async () => {
      const { pair } = await sendsOn()
      await heard(pair.client)
      const report = await closeSocket(pair.client, { mode, deadlineMs: 50 })
      expect(report).toMatchObject({ mode, fallback: { code: 'deadline' } })
    })

    it('closes the descriptor when the signal is aborted, and reports that', async () => {
      const { pair } = await sendsOn()
      await heard(pair.client)
      const controller = new AbortController()
      const closing = closeSocket(pair.client, mode, { signal: controller.signal })
      await once(pair.client, 'close')
      controller.abort()
      expect(await closing).toMatchObject({ mode, fallback: { code: 'aborted' } })
    })

    it('becomes a reset if a second call requests one', async () => {
      const { pair } = await sendsOn()
      await heard(pair.client)
      const closing = closeSocket(pair.client, mode)
      await once(pair.client, 'close')
      void closeSocket(pair.client, 'reset')
      const report = await closing
      expect(report).toMatchObject({ mode: 'reset', fallback: { code: 'reset-requested' } })
      expect(report.discardedBytes + report.inFlightBytes).toBeGreaterThan(0)
    })
  },
)

it('a mode set by setCloseMode() closes the descriptor at once and does not wait', async () => {
  const { pair } = await sendsOn()
  await heard(pair.client)
  setCloseMode(pair.client, 'deliver')
  pair.client.destroySoon()
  await once(pair.client, 'close')
  // The peer's next bytes cause a RST.
  await pair.peerClosed
  expect(pair.received.error).toMatch(/ECONNRESET|EPIPE/)
  expect(pair.received.bytes).toBeLessThan(SIZE)
})

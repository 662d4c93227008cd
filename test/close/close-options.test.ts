/** The settings of a close, and the signal that stops it. */
import { once } from 'node:events'
import { getEventListeners } from 'node:events'
import * as net from 'node:net'
import {
  closeModeNames,
  closeSocket,
  connect,
  describeCloseMode,
  getCloseMode,
  listen,
  setCloseMode,
  tuneServer,
} from '../../lib'
import { closeModes } from '../../lib/close/modes'
import { until } from '../helpers/until'
import { closeLater, destroyLater, failureOf } from '../sockets'
import { connected } from './pair'

/** More than the buffers of both kernels hold. */
const LARGE = 64 * 2 ** 20

const complete = {
  requireTimestamps: true,
  requirePeerData: true,
  closeNotify: true,
  deadlineMs: 30_000,
  idleMs: 5_000,
  maxDiscardBytes: 2 ** 30,
  maxLingering: 1_000,
  onEnd: 'half-close',
}

describe('getCloseMode()', () => {
  it('returns the complete setting of a socket, or null if there is none', () => {
    const socket = new net.Socket()
    expect(getCloseMode(socket)).toBeNull()
    setCloseMode(socket, 'deliver')
    expect(getCloseMode(socket)).toEqual({ mode: 'deliver', ...complete })
    setCloseMode(socket, { mode: 'lingering', idleMs: 7 })
    expect(getCloseMode(socket)).toEqual({ mode: 'lingering', ...complete, idleMs: 7 })
    setCloseMode(socket, null)
    expect(getCloseMode(socket)).toBeNull()
  })

  it('returns a value that setCloseMode() accepts', () => {
    const [one, other] = [new net.Socket(), new net.Socket()]
    setCloseMode(one, { mode: 'deliver', requireTimestamps: false, deadlineMs: 5 })
    setCloseMode(other, getCloseMode(one))
    expect(getCloseMode(other)).toEqual(getCloseMode(one))
  })

  it('returns the mode of a server and of the connections that it accepts', async () => {
    const server = net.createServer()
    closeLater(() => server.close())
    expect(getCloseMode(server)).toBeNull()
    const tuning = tuneServer(server, { close: 'lingering' })
    expect(getCloseMode(server)).toMatchObject({ mode: 'lingering' })
    tuning.stop()
    const { port } = await listen(server, { host: '127.0.0.1', close: 'reset' })
    expect(getCloseMode(server)).toMatchObject({ mode: 'reset' })
    const client = connect({ host: '127.0.0.1', port, close: { mode: 'fin', deadlineMs: 9 } })
    destroyLater(client)
    const [accepted] = (await once(server, 'connection')) as [net.Socket]
    destroyLater(accepted)
    expect(getCloseMode(accepted)).toMatchObject({ mode: 'reset' })
    expect(getCloseMode(client)).toEqual({ mode: 'fin', ...complete, deadlineMs: 9 })
  })

  it.each([[undefined], [null], [3], [{}]])('refuses %p', (target) => {
    expect(failureOf(() => getCloseMode(target as never)).code).toBe('ERR_INVALID_ARG_TYPE')
  })
})

describe('closeModeNames and describeCloseMode()', () => {
  it('list every mode of the table under its own name', () => {
    expect(closeModeNames).toEqual(Object.keys(closeModes))
    for (const name of closeModeNames) {
      const { keepsTimeWait, holdsDescriptor, summary } = closeModes[name]
      expect(describeCloseMode(name)).toEqual({ name, summary, keepsTimeWait, holdsDescriptor })
      expect(closeModes[name].name).toBe(name)
    }
  })

  it('refuse any other name', () => {
    const error = failureOf(() => describeCloseMode('gently' as never))
    expect(error.code).toBe('ERR_INVALID_ARG_VALUE')
  })
})

describe('closeSocket() with a signal', () => {
  async function unread() {
    const { client, peer } = await connected()
    peer.pause()
    client.write(Buffer.alloc(LARGE))
    return { client, peer }
  }

  it.each(['fin', 'deliver', 'lingering'] as const)(
    'ends when the signal is aborted, and reports the discarded bytes (%s)',
    async (mode) => {
      const { client } = await unread()
      const controller = new AbortController()
      const closing = closeSocket(client, mode, { signal: controller.signal })
      controller.abort()
      const report = await closing
      expect(report).toMatchObject({ requested: mode, fallback: { code: 'aborted' } })
      expect(report.discardedBytes).toBeGreaterThan(0)
      expect(client.destroyed).toBe(true)
      expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    },
  )

  it('reports the discarded bytes even if the event loop is held up while the close ends', async () => {
    const { client } = await unread()
    const controller = new AbortController()
    const closing = closeSocket(client, 'lingering', { signal: controller.signal })
    controller.abort()
    // Longer than the time after which a stream that never emits 'close' is given up.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500)
    const { mode, discardedBytes } = await closing
    expect(mode).toBe('lingering')
    expect(discardedBytes).toBeGreaterThan(0)
  })

  it('ends at once if the signal was aborted before', async () => {
    const { client } = await unread()
    const report = await closeSocket(client, 'deliver', { signal: AbortSignal.abort() })
    expect(report.fallback?.code).toBe('aborted')
  })

  it('stops lingering after its socket is closed when the signal is aborted', async () => {
    const { client, peer } = await connected('tcp', { allowHalfOpen: true })
    const controller = new AbortController()
    const closing = closeSocket(client, 'lingering', { signal: controller.signal })
    await once(client, 'close')
    await until(
      'the peer has the FIN',
      () => peer.readableEnded,
      (ended) => ended,
    )
    controller.abort()
    expect(await closing).toMatchObject({ mode: 'lingering', fallback: { code: 'aborted' } })
  })

  it('ends an earlier call too when the signal is aborted', async () => {
    const { client } = await unread()
    const first = closeSocket(client, 'deliver')
    const second = closeSocket(client, 'deliver', { signal: AbortSignal.abort() })
    expect((await first).fallback?.code).toBe('aborted')
    expect(await second).toBe(await first)
  })

  it('leaves no listener on a signal that is never aborted', async () => {
    const { client } = await connected()
    const { signal } = new AbortController()
    const report = await closeSocket(client, 'deliver', { signal })
    expect(report.fallback).toBeUndefined()
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})

/** A close after the peer's FIN, which the kernel counts as one received byte. */
import { once } from 'node:events'
import { closeSocket, setCloseMode, tcpInfo } from '../../lib'
import { observeClose } from '../../lib/close/hooks'
import type { Closed } from '../../lib/close/modes'
import { native } from '../../lib/kernel/binding'
import { until } from '../helpers/until'
import { connected } from './pair'

const modes = ['deliver', 'fin'] as const

/** Without `fin` over TLS, which reads until its close_notify is answered. */
const cases = [
  { transport: 'tcp', mode: 'deliver' },
  { transport: 'tcp', mode: 'fin' },
  { transport: 'tls', mode: 'deliver' },
  { transport: 'tls over tcp', mode: 'deliver' },
] as const

describe('a close after the FIN of the peer', () => {
  afterEach(() => {
    jest.restoreAllMocks()
  })

  it.each(cases)(
    'does not search for input if all of it was read: $mode, $transport',
    async ({ transport, mode }) => {
      const pair = await connected(transport, { allowHalfOpen: true })
      const { client, peer } = pair
      client.allowHalfOpen = true
      client.resume()
      peer.end('all')
      await once(client, 'end')
      await until(
        'the FIN has come',
        () => tcpInfo(client).state,
        (state) => state === 'CLOSE_WAIT',
      )
      const discard = jest.spyOn(native, 'discardInput')
      const count = jest.spyOn(native, 'unreadBytes')
      const report = await closeSocket(client, mode)
      expect(report).toMatchObject({ mode, timeWait: 'peer', discardedBytes: 0, unreadBytes: 0 })
      expect(discard).not.toHaveBeenCalled()
      expect(count).not.toHaveBeenCalled()
      await pair.peerClosed
      expect(pair.received).toMatchObject({ ended: true, error: undefined })
    },
  )

  it.each(modes)(
    'discards and counts a single byte before the FIN, and sends no RST, in mode %s',
    async (mode) => {
      const { client, peer } = await connected('tcp', { pauseOnConnect: true })
      const ended = once(client.resume(), 'close')
      const closed = new Promise<Closed>((resolve) => {
        observeClose(peer, resolve)
      })
      setCloseMode(peer, mode)
      client.end('x')
      await until(
        'the FIN has come',
        () => tcpInfo(peer).state,
        (state) => state === 'CLOSE_WAIT',
      )
      peer.destroy()
      expect(await closed).toMatchObject({ mode, unreadBytes: 1, timeWait: 'peer' })
      expect(await ended).toEqual([false])
    },
  )
})

import { once } from 'node:events'
import { queueSizes, setOption, tcpInfo } from '../../lib'
import { boundDatagramSocket, unixPair } from '../options/targets'
import { connectedPair, failureOf, listeningSocket, tcpSocket, unixSocket, until } from '../sockets'

/** The kernel sends corked data after this time (tcp(7)), which may be over if this process is stalled. */
const CORKED_MS = 200

const empty = { unread: 0, unacknowledged: 0, unsent: 0 }

describe('queueSizes', () => {
  it('reports 0 for empty queues', async () => {
    const { client, accepted } = await connectedPair()
    expect(queueSizes(tcpSocket())).toEqual(empty)
    expect([queueSizes(client), queueSizes(accepted)]).toEqual([empty, empty])
  })

  it('counts data that a paused peer has not read as unread', async () => {
    const { client, accepted } = await connectedPair()
    client.write(Buffer.alloc(1000))
    await until(() => queueSizes(accepted).unread > 0)
    expect(queueSizes(accepted)).toEqual({ ...empty, unread: 1000 })
    client.write(Buffer.alloc(234))
    await until(() => queueSizes(accepted).unread > 1000)
    expect(queueSizes(accepted)).toEqual({ ...empty, unread: 1234 })
    await until(() => queueSizes(client).unacknowledged === 0)
    accepted.resume()
    await once(accepted, 'data')
    expect(queueSizes(accepted)).toEqual(empty)
  })

  it('counts corked data both as unsent and as unacknowledged', async () => {
    const { client, accepted } = await connectedPair()
    for (let isSeen = false, arrived = 0; !isSeen;) {
      const since = performance.now()
      setOption(client, 'TCP_CORK', true)
      client.write(Buffer.alloc(77))
      const sizes = [queueSizes(client), queueSizes(accepted)]
      isSeen = performance.now() - since < CORKED_MS
      if (isSeen) {
        expect(sizes).toEqual([
          { unread: 0, unacknowledged: 77, unsent: 77 },
          { ...empty, unread: arrived },
        ])
      }
      setOption(client, 'TCP_CORK', false)
      expect(queueSizes(client).unsent).toBe(0)
      arrived += 77
      await until(() => queueSizes(accepted).unread === arrived)
      await until(() => queueSizes(client).unacknowledged === 0)
    }
  })

  it('accounts for every byte written to a peer that does not read', async () => {
    const { client, accepted } = await connectedPair()
    const written = 16 << 20
    client.write(Buffer.alloc(written))
    // The peer's window is full: some data waits in the send queue, and the rest in JavaScript.
    await until(() => (queueSizes(client).unsent ?? 0) > 0 && client.writableLength > 0)
    const { unread } = queueSizes(accepted)
    expect(unread).toBeGreaterThan(0)
    expect(unread).toBe(tcpInfo(accepted).bytesReceived)
    const { unacknowledged, unsent = NaN } = queueSizes(client)
    expect(unacknowledged).toBeGreaterThanOrEqual(unsent)
    expect(unsent).toBeGreaterThan(0)
    expect(unread + unacknowledged).toBeLessThan(written)
    accepted.resume()
    await once(client, 'drain')
    await until(() => queueSizes(client).unacknowledged === 0)
    expect(queueSizes(client)).toEqual(empty)
    await until(() => accepted.bytesRead === written)
    expect(queueSizes(accepted)).toEqual(empty)
  })

  it('leaves unsent undefined for a unix-domain socket', async () => {
    const { client, accepted } = await unixPair()
    expect(queueSizes(unixSocket())).toEqual({ ...empty, unsent: undefined })
    client.write('12345')
    expect(queueSizes(accepted)).toEqual({ unread: 5, unacknowledged: 0, unsent: undefined })
    expect(queueSizes(client).unacknowledged).toBeGreaterThan(0)
    accepted.resume()
    await once(accepted, 'data')
    expect(queueSizes(client)).toEqual({ ...empty, unsent: undefined })
  })

  it('leaves unsent undefined for a datagram socket', async () => {
    const socket = await boundDatagramSocket()
    expect(queueSizes(socket)).toEqual({ ...empty, unsent: undefined })
  })

  it('refuses a listening socket', () => {
    const fd = listeningSocket()
    expect(failureOf(() => queueSizes(fd))).toMatchObject({
      name: 'SocketTunerError',
      code: 'EINVAL',
      errno: -22,
      syscall: 'ioctl',
      fd,
      message: `ioctl SIOCINQ on fd ${String(fd)}: EINVAL`,
    })
  })
})

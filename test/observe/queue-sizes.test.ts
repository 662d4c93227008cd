import { once } from 'node:events'
import { queueSizes, setOption, tcpInfo } from '../../lib'
import { boundDatagramSocket, unixPair } from '../options/targets'
import { connectedPair, failureOf, listeningSocket, tcpSocket, unixSocket, until } from '../sockets'

const empty = { unread: 0, unacknowledged: 0, unsent: 0 }

describe('queueSizes', () => {
  it('is all 0 where nothing waits', async () => {
    const { client, accepted } = await connectedPair()
    expect(queueSizes(tcpSocket())).toEqual(empty)
    expect([queueSizes(client), queueSizes(accepted)]).toEqual([empty, empty])
  })

  it('has in unread what a paused peer has not taken', async () => {
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

  it('has in unsent what a cork holds back, and it is unacknowledged, too', async () => {
    const { client, accepted } = await connectedPair()
    setOption(client, 'TCP_CORK', true)
    client.write(Buffer.alloc(77))
    expect(queueSizes(client)).toEqual({ unread: 0, unacknowledged: 77, unsent: 77 })
    expect(queueSizes(accepted).unread).toBe(0)
    setOption(client, 'TCP_CORK', false)
    expect(queueSizes(client).unsent).toBe(0)
    await until(() => queueSizes(accepted).unread === 77)
  })

  it('accounts for every byte written to a peer that does not read', async () => {
    const { client, accepted } = await connectedPair()
    const written = 16 << 20
    client.write(Buffer.alloc(written))
    // The peer's window is full: more waits to be sent, and the rest is still in JavaScript.
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

  it('works on a unix-domain socket, which does not tell what is unsent', async () => {
    const { client, accepted } = await unixPair()
    expect(queueSizes(unixSocket())).toEqual({ ...empty, unsent: undefined })
    client.write('12345')
    expect(queueSizes(accepted)).toEqual({ unread: 5, unacknowledged: 0, unsent: undefined })
    expect(queueSizes(client).unacknowledged).toBeGreaterThan(0)
    accepted.resume()
    await once(accepted, 'data')
    expect(queueSizes(client)).toEqual({ ...empty, unsent: undefined })
  })

  it('works on a datagram socket, which does not tell it either', async () => {
    const socket = await boundDatagramSocket()
    expect(queueSizes(socket)).toEqual({ ...empty, unsent: undefined })
  })

  it('is refused for a listening socket', () => {
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

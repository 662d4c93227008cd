/** Contract tests: what lib/node/datagram.ts takes a dgram.Socket to be, on the release that runs them. */
import * as dgram from 'node:dgram'
import { once } from 'node:events'
import * as net from 'node:net'
import { datagramHandleOf, isDatagram } from '../../lib/node/datagram'
import { closeLater, loopback } from '../sockets'

/** What Node keeps under the one symbol whose description is 'state symbol'. */
function stateOf(socket: dgram.Socket): { handle?: { fd?: unknown } | null } | undefined {
  const states = Object.getOwnPropertySymbols(socket).flatMap((key) => {
    const value = (socket as unknown as Record<symbol, { handle?: { fd?: unknown } | null }>)[key]
    return key.description === 'state symbol' ? [value] : []
  })
  expect(states).toHaveLength(1)
  return states[0]
}

describe("dgram.Socket's state, under a symbol described as 'state symbol',", () => {
  it('has a handle without a descriptor before bind()', () => {
    const socket = dgram.createSocket('udp4')
    closeLater(() => {
      socket.close()
    })
    expect(stateOf(socket)?.handle?.fd).toBeLessThan(0)
    expect(datagramHandleOf(socket)).toBe(stateOf(socket)?.handle)
  })

  it('has a handle whose fd is the descriptor once bound, and null after close()', async () => {
    const socket = dgram.createSocket('udp4').bind(0, loopback[4])
    await once(socket, 'listening')
    expect(stateOf(socket)?.handle?.fd).toBeGreaterThan(2)
    expect(datagramHandleOf(socket)?.fd).toBe(stateOf(socket)?.handle?.fd)
    socket.close()
    expect(stateOf(socket)?.handle).toBeNull()
    expect(datagramHandleOf(socket)).toBeUndefined()
  })
})

describe('A dgram.Socket', () => {
  it('is told from other sockets and servers, closed or not', () => {
    const socket = dgram.createSocket('udp4')
    expect(isDatagram(socket)).toBe(true)
    socket.close()
    expect(isDatagram(socket)).toBe(true)
    expect([isDatagram(new net.Socket()), isDatagram(net.createServer())]).toEqual([false, false])
  })

  it('that has no such state has no handle', () => {
    const other = Object.create(dgram.Socket.prototype) as dgram.Socket
    expect(datagramHandleOf(other)).toBeUndefined()
    Object.assign(other, { [Symbol('state symbol')]: undefined })
    expect(datagramHandleOf(other)).toBeUndefined()
  })
})

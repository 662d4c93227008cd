/** Contract tests: the assumptions of lib/node/datagram.ts about a dgram.Socket, on this release of Node. */
import * as dgram from 'node:dgram'
import { once } from 'node:events'
import * as net from 'node:net'
import { datagramHandleOf, isDatagram } from '../../lib/node/datagram'
import { closeLater, loopback } from '../sockets'

/** Returns the value of the property whose symbol is described as 'state symbol'. */
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

  it('has a handle whose fd is the descriptor after bind(), and no handle after close()', async () => {
    const socket = dgram.createSocket('udp4').bind(0, loopback[4])
    await once(socket, 'listening')
    expect(stateOf(socket)?.handle?.fd).toBeGreaterThan(2)
    expect(datagramHandleOf(socket)?.fd).toBe(stateOf(socket)?.handle?.fd)
    socket.close()
    expect(stateOf(socket)?.handle).toBeNull()
    expect(datagramHandleOf(socket)).toBeUndefined()
  })
})

describe('a dgram.Socket', () => {
  it('is distinguished from other sockets and from servers, even after it is closed', () => {
    const socket = dgram.createSocket('udp4')
    expect(isDatagram(socket)).toBe(true)
    socket.close()
    expect(isDatagram(socket)).toBe(true)
    expect([isDatagram(new net.Socket()), isDatagram(net.createServer())]).toEqual([false, false])
  })

  it('has no handle if it has no such state', () => {
    const other = Object.create(dgram.Socket.prototype) as dgram.Socket
    expect(datagramHandleOf(other)).toBeUndefined()
    Object.assign(other, { [Symbol('state symbol')]: undefined })
    expect(datagramHandleOf(other)).toBeUndefined()
  })
})

import * as net from 'node:net'
import { isInternet, isUnixDomain, unixName } from '../../lib/kernel/domain'
import { transportFd } from '../../lib/node/handle'
import { socketPath } from '../options/targets'
import { closeLater, closedDescriptor, tcpSocket, udpSocket, unixSocket } from '../sockets'

describe('the domain of a socket', () => {
  it('is the unix domain for a unix-domain socket, bound or not', async () => {
    const path = socketPath()
    const server = net.createServer()
    closeLater(() => {
      server.close()
    })
    await new Promise<void>((resolve) => server.listen(path, resolve))
    const [bound, unbound] = [transportFd(server), unixSocket()]
    expect([bound, unbound].map(isUnixDomain)).toEqual([true, true])
    expect([bound, unbound].map(isInternet)).toEqual([false, false])
    expect([bound, unbound].map(unixName)).toEqual([path, ''])
  })

  it('is IPv4 or IPv6 for TCP and UDP sockets', () => {
    const sockets = [tcpSocket(4), tcpSocket(6), udpSocket(4)]
    expect(sockets.map(isInternet)).toEqual([true, true, true])
    expect(sockets.map(unixName)).toEqual([undefined, undefined, undefined])
  })

  it('is neither for a descriptor that is closed', () => {
    const fd = closedDescriptor()
    expect([isUnixDomain(fd), isInternet(fd)]).toEqual([false, false])
  })
})

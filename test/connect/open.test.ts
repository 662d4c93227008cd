import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import * as net from 'node:net'
import { getOption, type Settings } from '../../lib'
import { adoptSocket, openSocket } from '../../lib/connect/open'
import { prepareSettings } from '../../lib/options/tune'
import { coded } from '../helpers/coded'
import { closeLater } from '../sockets'

function open(family: 4 | 6, settings: Settings) {
  return openSocket(family, prepareSettings(settings))
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length
}

describe('openSocket', () => {
  it.each([4, 6] as const)('sets options before connect() on IPv%i', async (family) => {
    const host = family === 4 ? '127.0.0.1' : '::1'
    const server = net.createServer().listen(0, host)
    closeLater(() => server.close())
    await once(server, 'listening')
    const { fd, report } = open(family, { TCP_MAXSEG: 900, TCP_KEEPIDLE: 44 })
    expect(report).toMatchObject({
      TCP_MAXSEG: { status: 'applied' },
      TCP_KEEPIDLE: { status: 'applied' },
    })
    const socket = adoptSocket(fd)
    closeLater(() => socket.destroy())
    socket.connect((server.address() as net.AddressInfo).port, host)
    await once(socket, 'connect')
    expect(getOption(socket, 'TCP_KEEPIDLE')).toBe(44)
    // 900, less the 12 bytes of the timestamp option if it was negotiated.
    expect([888, 900]).toContain(getOption(socket, 'TCP_MAXSEG'))
  })

  it('leaves no descriptor open if a setting is refused', () => {
    const before = descriptors()
    for (let i = 0; i < 50; i++) {
      expect(() => open(4, { TCP_CONGESTION: 'no_such_algo' })).toThrow(coded('ENOENT'))
      expect(() => open(4, { IPV6_V6ONLY: true })).toThrow(coded('ERR_SOCKET_TUNER_WRONG_SOCKET'))
    }
    expect(descriptors()).toBe(before)
  })
})

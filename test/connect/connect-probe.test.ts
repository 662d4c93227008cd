import * as net from 'node:net'
import { constants as os } from 'node:os'
import { native } from '../../lib/kernel/binding'
import { probeConnect } from '../../lib/connect/connect-probe'
import { fastOpenMayBeOff } from '../../lib/kernel/proc'
import { expectNoMoreThan, openDescriptors } from './descriptors'
import { listen } from '../sockets'

const host = '127.0.0.1'

afterEach(() => {
  jest.restoreAllMocks()
})

describe('probeConnect()', () => {
  it.each<[4 | 6, string, string | undefined]>([
    [4, host, undefined],
    [4, host, '127.0.0.2'],
    [6, '::1', undefined],
    [6, '::1', '::1'],
  ])('measures IPv%d to %s from %s without making a connection', async (family, to, source) => {
    const accepted = jest.fn()
    const server = net.createServer(accepted)
    const port = await listen(server, to)
    const before = openDescriptors()
    for (let i = 0; i < 20; i++) {
      const probe = probeConnect(family, to, port, source)
      if (fastOpenMayBeOff()) expect(probe).toBeUndefined()
      else expect(probe?.microseconds).toBeGreaterThan(0)
    }
    await expectNoMoreThan(before)
    // A connection made after all probes is the first to be accepted.
    await new Promise<void>((resolve) => {
      server.once('connection', (socket) => {
        socket.destroy()
        resolve()
      })
      net.connect(port, to).on('error', () => undefined)
    })
    expect(accepted).toHaveBeenCalledTimes(1)
  })

  it.each<[string, () => void]>([
    [
      'an option is refused',
      () => jest.spyOn(native, 'setInt').mockReturnValue(-os.errno.EOPNOTSUPP),
    ],
    [
      'no descriptor is free',
      () => jest.spyOn(native, 'openSocket').mockReturnValue(-os.errno.EMFILE),
    ],
    [
      'the source is not an address of this host',
      () => jest.spyOn(native, 'bindFd').mockReturnValue(-1),
    ],
    [
      'there is no route',
      () => jest.spyOn(native, 'connectFd').mockReturnValue(-os.errno.ENETUNREACH),
    ],
  ])('returns undefined if %s, and leaves no descriptor open', async (_, fail) => {
    const before = openDescriptors()
    fail()
    expect(probeConnect(4, host, 9, '127.0.0.2')).toBeUndefined()
    await expectNoMoreThan(before)
  })

  it('reports that no port is free', () => {
    jest.spyOn(native, 'connectFd').mockReturnValue(-os.errno.EADDRNOTAVAIL)
    const probe = probeConnect(4, host, 9, undefined)
    if (!fastOpenMayBeOff()) expect(probe).toEqual({ microseconds: undefined, exhausted: true })
  })
})

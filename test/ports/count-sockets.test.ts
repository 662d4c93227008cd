import { once } from 'node:events'
import * as net from 'node:net'
import { constants } from 'node:os'
import { countSockets, timeWaitCount, type CountSocketsOptions } from '../../lib/ports'
import { native } from '../../lib/kernel/binding'
import { coded } from '../helpers/coded'
import { listenOnFreshPort } from '../helpers/fresh-port'
import { until } from '../helpers/until'
import { destroyLater, loopback } from '../sockets'

/** Makes a server on all addresses of both families, and connections to it. */
async function connections(...hosts: string[]): Promise<number> {
  const server = net.createServer((socket) => {
    destroyLater(socket)
  })
  const port = await listenOnFreshPort(server, '::')
  for (const host of hosts) {
    const accepted = once(server, 'connection')
    const socket = net.connect(port, host)
    destroyLater(socket)
    await Promise.all([once(socket, 'connect'), accepted])
  }
  return port
}

describe('countSockets()', () => {
  it('counts by destination, with IPv4-mapped addresses as separate groups', async () => {
    const port = await connections(loopback[4], loopback[4], loopback[6])
    const states = ['ESTABLISHED'] as const
    const groupBy = ['remoteAddress', 'remotePort'] as const
    expect(await countSockets({ states, groupBy, remotePort: port })).toEqual({
      total: 3,
      groupCount: 2,
      groups: [
        { count: 2, remoteAddress: '127.0.0.1', remotePort: port },
        { count: 1, remoteAddress: '::1', remotePort: port },
      ],
      interrupted: false,
    })
    expect(
      await countSockets({ states, localPort: port, groupBy: ['localAddress', 'state'] }),
    ).toEqual({
      total: 3,
      groupCount: 2,
      groups: [
        { count: 2, localAddress: '::ffff:127.0.0.1', state: 'ESTABLISHED' },
        { count: 1, localAddress: '::1', state: 'ESTABLISHED' },
      ],
      interrupted: false,
    })
  })

  it.each<[string, (port: number) => CountSocketsOptions, number]>([
    ['the remote address, which both ends match', () => ({ remoteAddress: '::1' }), 2],
    [
      'an IPv4 address, which its mapped form matches too',
      () => ({ localAddress: '127.0.0.1' }),
      4,
    ],
    ['a mapped address', () => ({ localAddress: '::ffff:127.0.0.1' }), 2],
    ['both addresses', () => ({ localAddress: '::1', remoteAddress: '::1' }), 2],
    ['a range of ports', (port) => ({ localPortRange: { min: port, max: port } }), 3],
    ['an address without sockets', () => ({ remoteAddress: '192.0.2.1' }), 0],
    ['a port without sockets', (port) => ({ localPort: port, remotePort: port }), 0],
  ])('filters by %s', async (_, filterOf, expected) => {
    const port = await connections(loopback[4], loopback[4], loopback[6])
    const ends = await Promise.all(
      [{ localPort: port }, { remotePort: port }].map((end) =>
        countSockets({ states: ['ESTABLISHED'], groupBy: [], ...end, ...filterOf(port) }),
      ),
    )
    expect(ends.reduce((sum, { total }) => sum + total, 0)).toBe(expected)
  })

  it('counts all states separately by default', async () => {
    const port = await connections(loopback[4])
    expect(await countSockets({ localPort: port })).toMatchObject({
      total: 2,
      groups: [
        { count: 1, state: 'ESTABLISHED' },
        { count: 1, state: 'LISTEN' },
      ],
    })
    const listening = await countSockets({ states: ['LISTEN'], localPort: port, groupBy: [] })
    expect(listening).toMatchObject({ total: 1, groups: [{ count: 1 }] })
    const { groups } = await countSockets({
      states: ['LISTEN', 'ESTABLISHED', 'TIME_WAIT'],
      localPort: port,
      groupBy: ['state'],
    })
    expect(groups.map(({ state, count }) => [state, count])).toEqual([
      ['ESTABLISHED', 1],
      ['LISTEN', 1],
    ])
  })

  it('reports when the timers of a group end', async () => {
    const server = net.createServer((socket) => socket.resume())
    const port = await listenOnFreshPort(server)
    const socket = net.connect(port, loopback[4])
    await once(socket, 'connect')
    socket.destroy()
    await once(socket, 'close')
    const { groups } = await until(
      'it is in TIME_WAIT',
      () => countSockets({ states: ['TIME_WAIT'], remotePort: port, timers: true }),
      ({ total }) => total === 1,
    )
    const [group] = groups
    expect(group).toMatchObject({ count: 1, state: 'TIME_WAIT' })
    expect(group?.firstTimerMs).toBe(group?.lastTimerMs)
    expect(group?.firstTimerMs).toBeGreaterThan(0)
    expect(group?.firstTimerMs).toBeLessThanOrEqual(60_000)
    expect(timeWaitCount()).toBeGreaterThanOrEqual(1)
  })

  it('returns the largest groups up to a limit, and the number of all groups', async () => {
    const port = await connections(loopback[6], loopback[4], loopback[4])
    const states = ['ESTABLISHED'] as const
    const groupBy = ['remoteAddress'] as const
    expect(await countSockets({ states, groupBy, remotePort: port, limit: 1 })).toMatchObject({
      total: 3,
      groupCount: 2,
      groups: [{ count: 2, remoteAddress: '127.0.0.1' }],
    })
  })

  it('sorts groups of the same size by their fields', async () => {
    const port = await connections(...Array<string>(200).fill(loopback[4]))
    const census = await countSockets({
      states: ['ESTABLISHED'],
      remotePort: port,
      groupBy: ['localPort'],
    })
    const ports = census.groups.map(({ localPort = 0 }) => localPort)
    expect(new Set(ports).size).toBe(200)
    expect(ports).toEqual(ports.toSorted((a, b) => a - b))
  })

  it('is unsupported on a kernel without inet_diag', async () => {
    jest.spyOn(native, 'dumpSockets').mockImplementationOnce((...args) => {
      args[4](-constants.errno.ENOENT)
      return 0
    })
    await expect(countSockets()).rejects.toThrow(coded('ERR_SOCKET_TUNER_UNSUPPORTED'))
  })

  it('can run many times at once', async () => {
    const port = await connections(loopback[4])
    const all = await Promise.all(
      Array.from({ length: 50 }, () => countSockets({ states: ['ESTABLISHED'], remotePort: port })),
    )
    expect(all.every(({ total }) => total === 1)).toBe(true)
  })

  it.each<[string, unknown, string]>([
    ['null', null, 'ERR_INVALID_ARG_TYPE'],
    ['states that are not an array', { states: 'TIME_WAIT' }, 'ERR_INVALID_ARG_TYPE'],
    ['no states', { states: [] }, 'ERR_INVALID_ARG_VALUE'],
    ['an unknown state', { states: ['WAITING'] }, 'ERR_INVALID_ARG_VALUE'],
    ['a state of undefined', { states: [undefined] }, 'ERR_INVALID_ARG_VALUE'],
    ['an unknown field', { groupBy: ['port'] }, 'ERR_INVALID_ARG_VALUE'],
    ['groupBy that is not an array', { groupBy: 'state' }, 'ERR_INVALID_ARG_TYPE'],
    ['a host name', { remoteAddress: 'localhost' }, 'ERR_INVALID_ARG_VALUE'],
    ['an address that is a number', { localAddress: 7 }, 'ERR_INVALID_ARG_TYPE'],
    ['a port out of range', { remotePort: 65_536 }, 'ERR_OUT_OF_RANGE'],
    ['a fractional port', { localPort: 1.5 }, 'ERR_OUT_OF_RANGE'],
    ['a reversed range of ports', { localPortRange: { min: 2, max: 1 } }, 'ERR_INVALID_ARG_VALUE'],
    ['a range that is a number', { localPortRange: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ['a limit of 0', { limit: 0 }, 'ERR_OUT_OF_RANGE'],
    ['a limit as a string', { limit: '1' }, 'ERR_INVALID_ARG_TYPE'],
    ['timers that are not a boolean', { timers: 1 }, 'ERR_INVALID_ARG_TYPE'],
  ])('refuses %s', async (_, options, code) => {
    await expect(countSockets(options as CountSocketsOptions)).rejects.toThrow(coded(code))
  })
})

describe('native.dumpSockets()', () => {
  const EINVAL = -22
  const done = (): void => undefined
  const nothing = new Uint8Array(0)

  it.each<[string, unknown[]]>([
    ['no arguments', []],
    ['no family', [0, 1, 0, nothing, done]],
    ['an unknown family', [4, 1, 0, nothing, done]],
    ['states that are not a number', [3, '1', 0, nothing, done]],
    ['a filter that is not a buffer', [3, 1, 0, 'x', done]],
    ['a filter that is too long', [3, 1, 0, new Uint8Array(70_000), done]],
    ['no callback', [3, 1, 0, nothing]],
    ['a callback that is not a function', [3, 1, 0, nothing, {}]],
  ])('refuses %s', (_, args) => {
    const { dumpSockets } = native as unknown as { dumpSockets: (...all: unknown[]) => number }
    expect(dumpSockets(...args)).toBe(EINVAL)
  })

  it('reports that the kernel refuses an invalid filter', async () => {
    const result = await new Promise((resolve) => {
      native.dumpSockets(3, 1 << 6, 0, new Uint8Array([9, 9, 9, 9]), resolve)
    })
    expect(result).toBe(EINVAL)
  })
})

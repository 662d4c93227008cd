import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { promises as dns } from 'node:dns'
import { once } from 'node:events'
import fs from 'node:fs'
import * as net from 'node:net'
import { constants as os, release } from 'node:os'
import * as path from 'node:path'
import { promisify } from 'node:util'
import { RawSocket, configure } from '../../lib'
import {
  portBudget,
  watchPorts,
  type PortBudget,
  type PortReport,
  type PortWatch,
  type WatchPortsOptions,
} from '../../lib/ports'
import { native } from '../../lib/kernel/binding'
import { isBefore, parseKernelVersion } from '../../lib/kernel/version'
import { coded } from '../helpers/coded'
import { dumpsCostNothing, readingsCostNothing } from '../helpers/free-readings'
import { connectionsToFreshPort } from '../helpers/fresh-port'
import { until } from '../helpers/until'
import { closeLater, destroyLater, failureOf, listen } from '../sockets'

const run = promisify(execFile)
const remoteAddress = '127.0.0.1'

/** Whether inet_diag lists bound sockets (BOUND_INACTIVE). */
const kernel = parseKernelVersion(release())
const knowsBound = kernel !== undefined && !isBefore(kernel, '6.8')

afterEach(() => {
  jest.restoreAllMocks()
})

function answerLookups(addresses: readonly string[]) {
  const found = addresses.map((address) => ({ address, family: net.isIP(address) }))
  return jest
    .spyOn(dns, 'lookup')
    .mockImplementation((() => Promise.resolve(found)) as unknown as typeof dns.lookup)
}

function failLookups(code: string) {
  const error = Object.assign(new Error(`getaddrinfo ${code}`), { code, syscall: 'getaddrinfo' })
  return jest.spyOn(dns, 'lookup').mockRejectedValue(error)
}

/** Returns ports from `first` on that can be bound. */
async function freePorts(first: number, count: number): Promise<number[]> {
  const found: number[] = []
  for (let port = first; found.length < count && port < 65_536; port++) {
    const server = net.createServer().listen(port, '127.0.0.1')
    const [event] = await Promise.race([
      once(server, 'listening').then(() => [true]),
      once(server, 'error').then(() => [false]),
    ])
    if (event === true) found.push(port)
    if (event === true) await once(server.close(), 'close')
  }
  return found
}

function watching(options: WatchPortsOptions) {
  const watch = watchPorts(options)
  closeLater(() => {
    watch.stop()
  })
  return watch
}

describe('portBudget()', () => {
  it('counts the ports of the connections to one destination', async () => {
    const remotePort = await connectionsToFreshPort(3)
    const budget = await portBudget({ remoteAddress, remotePort })
    expect(budget).toMatchObject({
      remoteAddress,
      remotePort,
      localAddress: '127.0.0.1',
      byState: { ESTABLISHED: 3 },
      used: 3,
      timeWait: 0,
      rate: 0,
    })
    expect(budget.secondsUntilExhaustion).toBeUndefined()
    expect(budget.free + budget.used).toBe(budget.ports)
    const { min, max } = budget.range
    expect(budget.ports + budget.reserved + budget.listening).toBe(max - min + 1)
    const other = await portBudget({ remoteAddress, remotePort, localAddress: '127.0.0.2' })
    expect(other.used).toBe(0)
  })

  it('treats an IPv4-mapped address as its IPv4 address', async () => {
    const remotePort = await connectionsToFreshPort(1)
    const budget = await portBudget({ remoteAddress: '::ffff:7f00:1', remotePort })
    expect(budget).toMatchObject({ remoteAddress, localAddress: '127.0.0.1', used: 1 })
  })

  it('treats 0.0.0.0 and :: as the addresses that connect() would use', async () => {
    const remotePort = await connectionsToFreshPort(1)
    for (const [unspecified, reached] of [
      ['0.0.0.0', '127.0.0.1'],
      ['::', '::1'],
    ] as const) {
      const budget = await portBudget({ remoteAddress: unspecified, remotePort })
      expect(budget).toMatchObject({ remoteAddress: reached, used: reached === '::1' ? 0 : 1 })
    }
  })

  it('counts each address of a host name, the fullest first', async () => {
    const remotePort = await connectionsToFreshPort(2)
    answerLookups(['::1', '127.0.0.2', '127.0.0.1', '::ffff:127.0.0.1'])
    const { others, ...budget } = await portBudget({ remoteAddress: 'a.example', remotePort })
    expect(budget).toMatchObject({ host: 'a.example', remoteAddress: '127.0.0.1', used: 2 })
    expect(others.map(({ host, remoteAddress, used }) => [host, remoteAddress, used])).toEqual([
      ['a.example', '::1', 0],
      ['a.example', '127.0.0.2', 0],
    ])
    const address = await portBudget({ remoteAddress: '127.0.0.1', remotePort })
    expect(address).toMatchObject({ host: undefined, others: [], used: 2 })
  })

  it('counts only the addresses in the family of the source', async () => {
    answerLookups(['::1', '127.0.0.1'])
    const destination = { remoteAddress: 'a.example', remotePort: 9, localAddress: '127.0.0.3' }
    const { others, ...budget } = await portBudget(destination)
    expect(budget).toMatchObject({ remoteAddress: '127.0.0.1', localAddress: '127.0.0.3' })
    expect(others).toEqual([])
    answerLookups(['::1'])
    const refused = coded('ERR_SOCKET_TUNER_ADDRESS_FAMILY')
    await expect(portBudget(destination)).rejects.toEqual(refused)
  })

  it('omits unreachable addresses of a name unless all are unreachable', async () => {
    const connectFd = native.connectFd.bind(native)
    jest
      .spyOn(native, 'connectFd')
      .mockImplementation((fd, address, port) =>
        address.startsWith('2001:db8:') ? -os.errno.ENETUNREACH : connectFd(fd, address, port),
      )
    answerLookups(['2001:db8::1', '127.0.0.1'])
    const destination = { remoteAddress: 'a.example', remotePort: 9 }
    const { others, ...budget } = await portBudget(destination)
    expect([budget.remoteAddress, others]).toEqual(['127.0.0.1', []])
    answerLookups(['2001:db8::1', '2001:db8::2'])
    await expect(portBudget(destination)).rejects.toEqual(coded('ENETUNREACH'))
  })

  it('requires the zone of a link-local address', async () => {
    jest.spyOn(native, 'connectFd').mockReturnValue(-os.errno.EINVAL)
    const asked = portBudget({ remoteAddress: 'fe80::1', remotePort: 9 })
    await expect(asked).rejects.toMatchObject({
      code: 'EINVAL',
      message: expect.stringContaining('fe80::1 cannot be reached without its zone') as string,
    })
  })

  it("rejects an unknown host name with Node's error", async () => {
    failLookups('ENOTFOUND')
    const asked = portBudget({ remoteAddress: 'a.example', remotePort: 9 })
    await expect(asked).rejects.toMatchObject({ code: 'ENOTFOUND', syscall: 'getaddrinfo' })
  })

  it('ignores connections from ports outside of the range', async () => {
    const remotePort = await connectionsToFreshPort(0)
    const { range, used } = await portBudget({ remoteAddress, remotePort })
    expect(used).toBe(0)
    for (const localPort of await freePorts(range.min - 3000, 3)) {
      const socket = net.connect({ port: remotePort, host: remoteAddress, localPort })
      destroyLater(socket)
      await once(socket, 'connect')
    }
    expect((await portBudget({ remoteAddress, remotePort })).used).toBe(0)
  })

  it('excludes ports of bound and listening sockets', async () => {
    const server = net.createServer()
    const listening = await listen(server, '::1')
    const socket = RawSocket.open(4)
    closeLater(() => {
      socket.close()
    })
    const bound = native.localPort(socket.bind({ address: '127.0.0.9' }).fd)
    // Only these ports, since other programs in this namespace bind and listen too.
    const budgetOf = (port: number): Promise<PortBudget> =>
      portBudget({ remoteAddress, remotePort: 9, portRange: { min: port, max: port } })
    expect(await budgetOf(listening)).toMatchObject({ listening: 1, bound: 0, ports: 0 })
    expect(await budgetOf(bound)).toMatchObject(
      knowsBound ? { listening: 0, bound: 1, ports: 0 } : { listening: 0, bound: 0, ports: 1 },
    )
  })

  it('reports if the table changed during the count', async () => {
    const dump = native.dumpSockets.bind(native)
    jest
      .spyOn(native, 'dumpSockets')
      .mockImplementation((families, states, groupBy, filter, done) =>
        dump(families, states, groupBy, filter, (total, records, _, microseconds) => {
          done(total, records, true, microseconds)
        }),
      )
    expect((await portBudget({ remoteAddress, remotePort: 9 })).interrupted).toBe(true)
    jest.restoreAllMocks()
    expect((await portBudget({ remoteAddress, remotePort: 9 })).interrupted).toBe(false)
  })

  it('counts only a given range within that of the namespace', async () => {
    const { range } = await portBudget({ remoteAddress, remotePort: 9 })
    const portRange = { min: range.min + 10, max: range.max - 10 }
    expect(await portBudget({ remoteAddress, remotePort: 9, portRange })).toMatchObject({
      range: portRange,
    })
    const outside = { min: 1, max: range.min + 5 }
    expect(await portBudget({ remoteAddress, remotePort: 9, portRange: outside })).toMatchObject({
      range: { min: range.min, max: range.min + 5 },
    })
  })

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'ERR_INVALID_ARG_TYPE'],
    ['a URL', { remoteAddress: 'http://localhost', remotePort: 80 }, 'ERR_INVALID_ARG_VALUE'],
    [
      'a port in the name',
      { remoteAddress: 'localhost:80', remotePort: 80 },
      'ERR_INVALID_ARG_VALUE',
    ],
    ['an empty name', { remoteAddress: '', remotePort: 80 }, 'ERR_INVALID_ARG_VALUE'],
    ['a name with a NUL', { remoteAddress: 'a\0b', remotePort: 80 }, 'ERR_INVALID_ARG_VALUE'],
    ['an array of names', { remoteAddress: ['a'], remotePort: 80 }, 'ERR_INVALID_ARG_TYPE'],
    ['no port', { remoteAddress }, 'ERR_INVALID_ARG_TYPE'],
    ['port 0', { remoteAddress, remotePort: 0 }, 'ERR_OUT_OF_RANGE'],
    ['a port as a string', { remoteAddress, remotePort: '80' }, 'ERR_INVALID_ARG_TYPE'],
    [
      'a source of another family',
      { remoteAddress, remotePort: 80, localAddress: '::1' },
      'ERR_SOCKET_TUNER_ADDRESS_FAMILY',
    ],
    [
      'a reversed range',
      { remoteAddress, remotePort: 80, portRange: { min: 2, max: 1 } },
      'ERR_INVALID_ARG_VALUE',
    ],
    [
      'a range without an end',
      { remoteAddress, remotePort: 80, portRange: { min: 2 } },
      'ERR_INVALID_ARG_TYPE',
    ],
    [
      'a range of 0',
      { remoteAddress, remotePort: 80, portRange: { min: 0, max: 0 } },
      'ERR_OUT_OF_RANGE',
    ],
  ])('refuses %s', async (_, options, code) => {
    await expect(portBudget(options as never)).rejects.toEqual(coded(code))
  })
})

describe('portBudget() where it cannot work', () => {
  it.each([
    ['no addon', () => jest.spyOn(native, 'openSocket').mockReturnValue(-os.errno.EOPNOTSUPP)],
    ['no netlink', () => jest.spyOn(native, 'dumpSockets').mockReturnValue(-os.errno.EOPNOTSUPP)],
  ])('rejects with a coded error if there is %s', async (_, fail) => {
    fail()
    const asked = portBudget({ remoteAddress, remotePort: 9 })
    await expect(asked).rejects.toEqual(coded('ERR_SOCKET_TUNER_UNSUPPORTED'))
  })

  it('reports that the destination is unreachable', async () => {
    jest.spyOn(native, 'connectFd').mockReturnValue(-os.errno.ENETUNREACH)
    const asked = portBudget({ remoteAddress, remotePort: 9 })
    await expect(asked).rejects.toEqual(coded('ENETUNREACH'))
  })
})

describe('watchPorts()', () => {
  beforeEach(readingsCostNothing)

  it('yields and publishes a report for each destination at each reading', async () => {
    const remotePort = await connectionsToFreshPort(2)
    const published: unknown[] = []
    const onReport = (report: unknown) => void published.push(report)
    subscribe('socket-tuner:ports', onReport)
    const destinations = [
      { remoteAddress, remotePort },
      { remoteAddress, remotePort, localAddress: '127.0.0.2' },
    ]
    const watch = watching({ destinations, intervalMs: 10 })
    const seen: PortReport[] = []
    for await (const report of watch) {
      seen.push(report)
      if (seen.length === 4) break
    }
    unsubscribe('socket-tuner:ports', onReport)
    expect(seen.map(({ used }) => used)).toEqual([2, 0, 2, 0])
    expect(published).toEqual(expect.arrayContaining(seen))
    expect(watch.latest.map(({ used }) => used)).toEqual([2, 0])
  })

  it('measures the cost of connect() in this process', async () => {
    const remotePort = await connectionsToFreshPort(0)
    // A slow loop receives only the newest reading, the channel all of them.
    const looks: PortReport[] = []
    const onReport = (report: unknown) => void looks.push(report as PortReport)
    subscribe('socket-tuner:ports', onReport)
    watching({ destinations: [{ remoteAddress, remotePort }], intervalMs: 10 })
    const socket = net.connect(remotePort, remoteAddress)
    destroyLater(socket)
    await once(socket, 'connect')
    // A reading takes some time, so the call may be counted in the previous one.
    await until(
      'it is seen',
      () => looks,
      (all) => all.at(-1)?.used === 1,
    )
    unsubscribe('socket-tuner:ports', onReport)
    const counted = looks.filter(({ connects }) => connects > 0)
    expect(counted).toEqual([expect.objectContaining({ connects: 1 })])
    const [{ connectMicroseconds, slowestConnectMicroseconds } = {}] = counted
    expect(connectMicroseconds).toBeGreaterThan(0)
    expect(slowestConnectMicroseconds).toBe(connectMicroseconds)
  })

  it('warns about each problem when it begins', async () => {
    configure({ hazards: 'ignore' })
    const messages: { code: string; reason: string }[] = []
    const onWarning = (warning: unknown) => void messages.push(warning as (typeof messages)[0])
    subscribe('socket-tuner:warning', onWarning)
    const remotePort = await connectionsToFreshPort(3)
    const { range } = await portBudget({ remoteAddress, remotePort })
    const watch = watching({
      destinations: [{ remoteAddress, remotePort }],
      intervalMs: 10,
      warnAt: { used: 2 / (range.max - range.min + 1) },
    })
    const troubles = []
    for await (const report of watch) {
      troubles.push(report.troubles)
      if (troubles.length === 3) break
    }
    unsubscribe('socket-tuner:warning', onWarning)
    expect(troubles).toEqual([['used'], ['used'], ['used']])
    expect(messages).toEqual([
      expect.objectContaining({
        code: 'SOCKET_TUNER_PORTS_LOW',
        reason: `used ${remoteAddress}:${String(remotePort)}`,
      }),
    ])
  })

  it.each<[string, (watch: PortWatch, controller: AbortController) => void]>([
    [
      'stop()',
      (watch) => {
        watch.stop()
      },
    ],
    [
      'its signal',
      (_, controller) => {
        controller.abort()
      },
    ],
    [
      'the end of its scope',
      (watch) => {
        watch[Symbol.dispose]()
      },
    ],
  ])('ends its loops by %s', async (_, stop) => {
    const controller = new AbortController()
    const destinations = [{ remoteAddress, remotePort: 9 }]
    const watch = watching({ destinations, intervalMs: 10, signal: controller.signal })
    let looks = 0
    for await (const report of watch) {
      expect(report.remotePort).toBe(9)
      looks++
      stop(watch, controller)
    }
    expect(looks).toBe(1)
    watch.stop()
  })

  it('does not start if its signal is already aborted', async () => {
    const spy = jest.spyOn(native, 'dumpSockets')
    const signal = AbortSignal.abort()
    const watch = watching({ destinations: [{ remoteAddress, remotePort: 9 }], signal })
    expect(await watch[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined })
    expect(spy).not.toHaveBeenCalled()
    spy.mockRestore()
  })

  it('does not keep the process alive', async () => {
    const program = path.join(__dirname, 'watch-program.js')
    const { stdout } = await run(process.execPath, [program])
    expect(stdout).toBe('looked\n')
  })

  it('counts calls of connect() for each of two destinations with the same address', async () => {
    const remotePort = await connectionsToFreshPort(0)
    const looks: PortReport[] = []
    const onReport = (report: unknown) => void looks.push(report as PortReport)
    subscribe('socket-tuner:ports', onReport)
    const destinations = [
      { remoteAddress, remotePort },
      { remoteAddress, remotePort, localAddress: '127.0.0.2' },
    ]
    watching({ destinations, intervalMs: 10 })
    const socket = net.connect(remotePort, remoteAddress)
    destroyLater(socket)
    await once(socket, 'connect')
    await until(
      'both have counted it',
      () => looks.filter(({ connects }) => connects === 1).map(({ localAddress }) => localAddress),
      (counted) => counted.length === 2,
    )
    unsubscribe('socket-tuner:ports', onReport)
  })

  it('watches each address of a host name', async () => {
    const remotePort = await connectionsToFreshPort(2)
    answerLookups(['::1', '127.0.0.1'])
    const watch = watching({ destinations: [{ remoteAddress: 'a.example', remotePort }] })
    await watch[Symbol.asyncIterator]().next()
    expect(watch.latest).toMatchObject([
      { host: 'a.example', remoteAddress: '::1', used: 0 },
      { host: 'a.example', remoteAddress: '127.0.0.1', used: 2 },
    ])
  })

  it('follows a host name, and drops an old address when its connections have ended', async () => {
    const remotePort = await connectionsToFreshPort(0)
    const socket = net.connect(remotePort, '127.0.0.1')
    destroyLater(socket)
    await once(socket, 'connect')
    let later = 0
    const clock = performance.now.bind(performance)
    jest.spyOn(performance, 'now').mockImplementation(() => clock() + later)
    const lookups = answerLookups(['127.0.0.1', '127.0.0.2'])
    const destinations = [{ remoteAddress: 'a.example', remotePort }]
    const watch = watching({ destinations, intervalMs: 10 })
    const addresses = () => watch.latest.map((report) => report.remoteAddress)
    await until('the first reading', addresses, ({ length }) => length === 2)
    expect(lookups).toHaveBeenCalledTimes(1)
    answerLookups(['127.0.0.3'])
    later += 29_000
    await watch[Symbol.asyncIterator]().next()
    later += 2_000
    const kept = await until('the new one', addresses, (all) => all.includes('127.0.0.3'))
    expect(kept).toContain('127.0.0.1')
    await until('what has no connection goes', addresses, (all) => !all.includes('127.0.0.2'))
    failLookups('ENOTFOUND')
    later += 31_000
    socket.resetAndDestroy()
    await until('the old one goes', addresses, (all) => all.join() === '127.0.0.3')
    expect(watch.failure).toBeUndefined()
  })

  it('does not extend the pause after a reading that other work delayed', async () => {
    jest.restoreAllMocks()
    dumpsCostNothing()
    const held = new Int32Array(new SharedArrayBuffer(4))
    const clock = Date.now.bind(Date)
    // Each report calls Date.now(), where this makes the thread wait without using the processor.
    jest.spyOn(Date, 'now').mockImplementationOnce(() => {
      Atomics.wait(held, 0, 0, 200)
      return clock()
    })
    const remotePort = await connectionsToFreshPort(0)
    const looks: unknown[] = []
    const onReport = (report: unknown): void => void looks.push(report)
    subscribe('socket-tuner:ports', onReport)
    watching({ destinations: [{ remoteAddress, remotePort }], intervalMs: 10 })
    await until(
      'another reading',
      () => looks.length,
      (count) => count >= 2,
    )
    unsubscribe('socket-tuner:ports', onReport)
  })

  it('follows the source address that the kernel chooses', async () => {
    const remotePort = await connectionsToFreshPort(0)
    const watch = watching({ destinations: [{ remoteAddress, remotePort }], intervalMs: 10 })
    const sources = () => watch.latest.map(({ localAddress }) => localAddress)
    await until('the first reading', sources, (all) => all.join() === '127.0.0.1')
    const source = jest.spyOn(native, 'localAddress').mockImplementation((_, text) => {
      return Buffer.from(text.buffer, text.byteOffset).write('127.0.0.7')
    })
    await until('another route', sources, (all) => all.join() === '127.0.0.7')
    source.mockReturnValue(-os.errno.ENETUNREACH)
    await watch[Symbol.asyncIterator]().next()
    expect(sources()).toEqual(['127.0.0.7'])
    expect(watch.running).toBe(true)
  })

  const nine = [{ remoteAddress, remotePort: 9 }]

  /** Returns the messages that were published while `call` ran. */
  async function published(channel: string, call: () => Promise<unknown>): Promise<unknown[]> {
    const messages: unknown[] = []
    const onMessage = (message: unknown) => void messages.push(message)
    subscribe(channel, onMessage)
    await call().finally(() => unsubscribe(channel, onMessage))
    return messages
  }

  function refuseDumps(code: number) {
    return jest.spyOn(native, 'dumpSockets').mockImplementation(() => code)
  }

  it.each(['EMFILE', 'ENOBUFS', 'ENOMEM', 'EAGAIN', 'EINTR', 'ETIMEDOUT'] as const)(
    'repeats a reading that fails with %s, and continues',
    async (name) => {
      configure({ hazards: 'ignore' })
      const spy = refuseDumps(-os.errno[name])
      const watch = watching({ destinations: nine, intervalMs: 10 })
      const first = watch[Symbol.asyncIterator]().next()
      const warnings = await published('socket-tuner:warning', () =>
        until(
          'three readings',
          () => watch.failedReadings,
          (looks) => looks >= 3,
        ),
      )
      expect(warnings).toEqual([expect.objectContaining({ code: 'SOCKET_TUNER_WATCH_FAILING' })])
      expect(watch).toMatchObject({ running: true, failure: coded(name), latest: [] })
      spy.mockRestore()
      expect((await first).value).toMatchObject({ remotePort: 9 })
      expect(watch).toMatchObject({ running: true, failure: undefined })
      expect(watch.failedReadings).toBeGreaterThanOrEqual(3)
    },
  )

  it('repeats a reading for which a setting could not be read', async () => {
    const failure = Object.assign(new Error('EMFILE'), { code: 'EMFILE', syscall: 'open' })
    const spy = jest.spyOn(fs, 'readFileSync').mockImplementation(() => {
      throw failure
    })
    const watch = watching({ destinations: nine, intervalMs: 10 })
    await until(
      'a failed reading',
      () => watch.failedReadings,
      (looks) => looks > 0,
    )
    expect(watch).toMatchObject({ running: true, failure: coded('EMFILE') })
    spy.mockRestore()
    await watch[Symbol.asyncIterator]().next()
    expect(watch.failure).toBeUndefined()
  })

  it('survives a time without free descriptors', async () => {
    const program = path.join(__dirname, 'starved-watch-program.js')
    // Node itself needs some of them.
    const script = 'ulimit -n 64; exec "$0" "$1"'
    const { stdout } = await run('sh', ['-c', script, process.execPath, program])
    expect(JSON.parse(stdout)).toEqual({
      starved: { code: 'EMFILE', failure: 'EMFILE', running: true },
      fed: { running: true, looks: 1 },
    })
  })

  it('pauses longer after each failed reading', async () => {
    configure({ hazards: 'ignore' })
    refuseDumps(-os.errno.EAGAIN)
    const pauses = jest.spyOn(global, 'setTimeout')
    const watch = watching({ destinations: nine, intervalMs: 10 })
    await until(
      'five readings',
      () => watch.failedReadings,
      (looks) => looks >= 5,
    )
    watch.stop()
    const lengths = pauses.mock.calls.map(([, ms = 0]) => ms).filter((ms) => ms > 0)
    // A pause is shorter by the time of the reading.
    const least = [20, 40, 80, 160].map((ms) => ms / 2)
    for (const ms of least)
      expect(lengths.some((length) => length >= ms && length <= 2 * ms)).toBe(true)
  })

  it.each<[string, number, string]>([
    ['is unsupported', -os.errno.EOPNOTSUPP, 'ERR_SOCKET_TUNER_UNSUPPORTED'],
    ['is forbidden', -os.errno.EPERM, 'EPERM'],
    ['is denied', -os.errno.EACCES, 'EACCES'],
  ])('reports its end by promise, channel and warning if the count %s', async (_, errno, code) => {
    configure({ hazards: 'ignore' })
    const watch = watching({ destinations: nine, intervalMs: 10 })
    await watch[Symbol.asyncIterator]().next()
    expect(watch).toMatchObject({ running: true, failure: undefined, failedReadings: 0 })
    const waiting = watch[Symbol.asyncIterator]().next()
    refuseDumps(errno)
    const ends: unknown[] = []
    const warnings = await published('socket-tuner:warning', async () => {
      ends.push(
        ...(await published('socket-tuner:ports-ended', () =>
          expect(watch.ended).rejects.toEqual(coded(code)),
        )),
      )
    })
    expect(warnings).toEqual([
      {
        code: 'SOCKET_TUNER_WATCH_ENDED',
        reason: `${code} 127.0.0.1:9`,
        message: expect.stringMatching(
          /^The watch of the ports for 127\.0\.0\.1:9 has ended: /,
        ) as string,
      },
    ])
    expect(ends).toEqual([{ watch, error: coded(code) }])
    expect(watch).toMatchObject({
      running: false,
      failure: coded(code),
      failedReadings: 1,
      latest: [],
    })
    await expect(waiting).rejects.toEqual(coded(code))
    await expect(watch[Symbol.asyncIterator]().next()).rejects.toEqual(coded(code))
    watch.stop()
    await expect(watch.ended).rejects.toEqual(coded(code))
  })

  it('ends if its host name is unknown at first', async () => {
    configure({ hazards: 'ignore' })
    failLookups('ENOTFOUND')
    const watch = watching({ destinations: [{ remoteAddress: 'a.example', remotePort: 9 }] })
    await expect(watch.ended).rejects.toEqual(coded('ENOTFOUND'))
  })

  it('keeps trying if the resolver does not answer at first', async () => {
    failLookups('EAI_AGAIN')
    const destinations = [{ remoteAddress: 'a.example', remotePort: 9 }]
    const watch = watching({ destinations, intervalMs: 10 })
    await until(
      'a failed reading',
      () => watch.failedReadings,
      (looks) => looks > 0,
    )
    answerLookups(['127.0.0.1'])
    await watch[Symbol.asyncIterator]().next()
    expect(watch.latest).toMatchObject([{ host: 'a.example', remoteAddress: '127.0.0.1' }])
  })

  it('resolves its promise, and publishes its end without an error, if it is stopped', async () => {
    const watch = watching({ destinations: nine })
    const ends = await published('socket-tuner:ports-ended', async () => {
      watch.stop()
      await watch.ended
    })
    expect(ends).toEqual([{ watch, error: undefined }])
    expect(watch).toMatchObject({ running: false, failure: undefined })
    const aborted = watching({ destinations: nine, signal: AbortSignal.abort() })
    await expect(aborted.ended).resolves.toBeUndefined()
  })

  it('warns once, and does not end the process, if its promise is ignored', async () => {
    const program = path.join(__dirname, 'dying-watch-program.js')
    const { stdout, stderr } = await run(process.execPath, [program])
    expect(stdout).toBe('alive\n')
    expect(stderr.match(/SOCKET_TUNER_WATCH_ENDED/g)).toHaveLength(1)
    expect(stderr).toContain('watch.ended')
  })

  const one = [{ remoteAddress, remotePort: 80 }]
  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'ERR_INVALID_ARG_TYPE'],
    ['an empty list of destinations', { destinations: [] }, 'ERR_INVALID_ARG_VALUE'],
    ['65 destinations', { destinations: Array(65).fill(one[0]) }, 'ERR_INVALID_ARG_VALUE'],
    ['destinations that are not an array', { destinations: one[0] }, 'ERR_INVALID_ARG_TYPE'],
    [
      'a URL',
      { destinations: [...one, { remoteAddress: 'http://a', remotePort: 1 }] },
      'ERR_INVALID_ARG_VALUE',
    ],
    ['an interval of 0 ms', { destinations: one, intervalMs: 0 }, 'ERR_OUT_OF_RANGE'],
    ['an interval of NaN', { destinations: one, intervalMs: NaN }, 'ERR_OUT_OF_RANGE'],
    ['an interval as a string', { destinations: one, intervalMs: '1' }, 'ERR_INVALID_ARG_TYPE'],
    ['a share of 0', { destinations: one, warnAt: { used: 0 } }, 'ERR_INVALID_ARG_VALUE'],
    ['a share above 1', { destinations: one, warnAt: { used: 1.1 } }, 'ERR_INVALID_ARG_VALUE'],
    ['a share as a string', { destinations: one, warnAt: { used: '1' } }, 'ERR_INVALID_ARG_TYPE'],
    ['negative seconds', { destinations: one, warnAt: { seconds: -1 } }, 'ERR_OUT_OF_RANGE'],
    ['an invalid signal', { destinations: one, signal: {} }, 'ERR_INVALID_ARG_TYPE'],
  ])('refuses %s, and leaves nothing running', (_, options, code) => {
    const spy = jest.spyOn(native, 'dumpSockets')
    expect(failureOf(() => watchPorts(options as never))).toEqual(coded(code))
    expect(spy).not.toHaveBeenCalled()
    spy.mockRestore()
  })
})

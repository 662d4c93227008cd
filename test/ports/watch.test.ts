import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import * as net from 'node:net'
import { constants as os } from 'node:os'
import * as path from 'node:path'
import { promisify } from 'node:util'
import {
  configure,
  portBudget,
  watchPorts,
  type PortReport,
  type PortWatch,
  type WatchPortsOptions,
} from '../../lib'
import { native } from '../../lib/binding'
import { coded } from '../helpers/coded'
import { connectionsToFreshPort } from '../helpers/fresh-port'
import { until } from '../helpers/until'
import { closeLater, destroyLater, failureOf } from '../sockets'

const run = promisify(execFile)
const remoteAddress = '127.0.0.1'

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

  it('takes an IPv4-mapped address for the IPv4 address that it is', async () => {
    const remotePort = await connectionsToFreshPort(1)
    const budget = await portBudget({ remoteAddress: '::ffff:7f00:1', remotePort })
    expect(budget).toMatchObject({ remoteAddress, localAddress: '127.0.0.1', used: 1 })
  })

  it('is for a range within that of the namespace', async () => {
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
    ['a host name', { remoteAddress: 'localhost', remotePort: 80 }, 'ERR_INVALID_ARG_VALUE'],
    ['no port', { remoteAddress }, 'ERR_INVALID_ARG_TYPE'],
    ['port 0', { remoteAddress, remotePort: 0 }, 'ERR_OUT_OF_RANGE'],
    ['a port of text', { remoteAddress, remotePort: '80' }, 'ERR_INVALID_ARG_TYPE'],
    [
      'a source of another family',
      { remoteAddress, remotePort: 80, localAddress: '::1' },
      'ERR_SOCKET_TUNER_ADDRESS_FAMILY',
    ],
    [
      'a range upside down',
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

describe('where there is none of it', () => {
  afterEach(() => {
    jest.restoreAllMocks()
  })

  it.each([
    ['no addon', () => jest.spyOn(native, 'openSocket').mockReturnValue(-os.errno.EOPNOTSUPP)],
    ['no netlink', () => jest.spyOn(native, 'dumpSockets').mockReturnValue(-os.errno.EOPNOTSUPP)],
  ])('portBudget() says so: %s', async (_, fail) => {
    fail()
    const asked = portBudget({ remoteAddress, remotePort: 9 })
    await expect(asked).rejects.toEqual(coded('ERR_SOCKET_TUNER_UNSUPPORTED'))
  })

  it('portBudget() says that there is no way to the destination', async () => {
    jest.spyOn(native, 'connectFd').mockReturnValue(-os.errno.ENETUNREACH)
    const asked = portBudget({ remoteAddress, remotePort: 9 })
    await expect(asked).rejects.toEqual(coded('ENETUNREACH'))
  })
})

describe('watchPorts()', () => {
  it('gives a report for each destination at each look, and publishes it', async () => {
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

  it('counts what connect() of this process costs', async () => {
    const remotePort = await connectionsToFreshPort(0)
    // A loop gets the newest look only; the channel has all of them.
    const looks: PortReport[] = []
    const onReport = (report: unknown) => void looks.push(report as PortReport)
    subscribe('socket-tuner:ports', onReport)
    watching({ destinations: [{ remoteAddress, remotePort }], intervalMs: 10 })
    const socket = net.connect(remotePort, remoteAddress)
    destroyLater(socket)
    await once(socket, 'connect')
    // The look itself takes a moment: the call may be counted in the one before.
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

  it('warns of each trouble when it begins', async () => {
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

  it('does not begin where its signal was given already', async () => {
    const spy = jest.spyOn(native, 'dumpSockets')
    const signal = AbortSignal.abort()
    const watch = watching({ destinations: [{ remoteAddress, remotePort: 9 }], signal })
    expect(await watch[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined })
    expect(spy).not.toHaveBeenCalled()
    spy.mockRestore()
  })

  it('holds no process open', async () => {
    const program = path.join(__dirname, 'watch-program.js')
    const { stdout } = await run(process.execPath, [program])
    expect(stdout).toBe('looked\n')
  })

  it('leaves out a look for which there was no descriptor, and goes on', async () => {
    const spy = jest.spyOn(native, 'dumpSockets').mockImplementation(() => -os.errno.EMFILE)
    const destinations = [{ remoteAddress, remotePort: 9 }]
    const watch = watching({ destinations, intervalMs: 10 })
    const first = watch[Symbol.asyncIterator]().next()
    await until(
      'three looks',
      () => spy.mock.calls.length,
      (calls) => calls >= 6,
    )
    spy.mockRestore()
    expect((await first).value).toMatchObject({ remotePort: 9 })
  })

  it('ends with the error where sockets cannot be counted', async () => {
    const spy = jest.spyOn(native, 'dumpSockets').mockImplementation(() => -os.errno.EOPNOTSUPP)
    const watch = watching({ destinations: [{ remoteAddress, remotePort: 9 }] })
    const refused = coded('ERR_SOCKET_TUNER_UNSUPPORTED')
    await expect(watch[Symbol.asyncIterator]().next()).rejects.toEqual(refused)
    await expect(watch[Symbol.asyncIterator]().next()).rejects.toEqual(refused)
    spy.mockRestore()
  })

  const one = [{ remoteAddress, remotePort: 80 }]
  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'ERR_INVALID_ARG_TYPE'],
    ['no destination', { destinations: [] }, 'ERR_INVALID_ARG_VALUE'],
    ['65 destinations', { destinations: Array(65).fill(one[0]) }, 'ERR_INVALID_ARG_VALUE'],
    ['no array', { destinations: one[0] }, 'ERR_INVALID_ARG_TYPE'],
    [
      'an unknown host',
      { destinations: [{ remoteAddress: 'nowhere', remotePort: 1 }] },
      'ERR_INVALID_ARG_VALUE',
    ],
    ['0 ms', { destinations: one, intervalMs: 0 }, 'ERR_OUT_OF_RANGE'],
    ['NaN ms', { destinations: one, intervalMs: NaN }, 'ERR_OUT_OF_RANGE'],
    ['ms of text', { destinations: one, intervalMs: '1' }, 'ERR_INVALID_ARG_TYPE'],
    ['a share of 0', { destinations: one, warnAt: { used: 0 } }, 'ERR_INVALID_ARG_VALUE'],
    ['a share above 1', { destinations: one, warnAt: { used: 1.1 } }, 'ERR_INVALID_ARG_VALUE'],
    ['a share of text', { destinations: one, warnAt: { used: '1' } }, 'ERR_INVALID_ARG_TYPE'],
    ['seconds below 0', { destinations: one, warnAt: { seconds: -1 } }, 'ERR_OUT_OF_RANGE'],
    ['a signal that is none', { destinations: one, signal: {} }, 'ERR_INVALID_ARG_TYPE'],
  ])('refuses %s, and leaves nothing running', (_, options, code) => {
    const spy = jest.spyOn(native, 'dumpSockets')
    expect(failureOf(() => watchPorts(options as never))).toEqual(coded(code))
    expect(spy).not.toHaveBeenCalled()
    spy.mockRestore()
  })
})

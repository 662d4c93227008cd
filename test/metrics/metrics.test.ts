import { once } from 'node:events'
import * as net from 'node:net'
import { constants as os } from 'node:os'
import { isDeepStrictEqual } from 'node:util'
import * as promClient from 'prom-client'
import { closeSocket, closeTotals, configure } from '../../lib'
import { portWaitTotals, timeWaitCount, watchPorts } from '../../lib/ports'
import { registerMetrics } from '../../lib/metrics/index'
import { native } from '../../lib/kernel/binding'
import { fallbackCodes } from '../../lib/close/fallback'
import { coded } from '../helpers/coded'
import { readingsCostNothing } from '../helpers/free-readings'
import { listenOnFreshPort } from '../helpers/fresh-port'
import { until } from '../helpers/until'
import { closeLater, destroyLater, failureOf } from '../sockets'

type Labels = Record<string, string | number>

let registry: promClient.Registry
afterEach(() => {
  jest.restoreAllMocks()
  configure({ hazards: 'warn' })
})
beforeEach(() => {
  registry = new promClient.Registry()
})

async function values(name: string): Promise<{ labels: Labels; value: number }[]> {
  const metric = registry.getSingleMetric(name)
  if (metric === undefined) throw new Error(`no ${name}`)
  return (await metric.get()).values.map(({ labels, value }) => ({
    labels: labels as Labels,
    value,
  }))
}

async function echoPort(): Promise<number> {
  return listenOnFreshPort(
    net.createServer((socket) => {
      destroyLater(socket)
      socket.resume()
    }),
  )
}

async function connected(port: number): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1')
  destroyLater(socket)
  await once(socket, 'connect')
  return socket
}

describe('registerMetrics()', () => {
  it('reports the closes of closeTotals()', async () => {
    registerMetrics(promClient, { registry })
    const port = await echoPort()
    const before = closeTotals()
    await closeSocket(await connected(port), 'fin')
    await closeSocket(await connected(port), 'reset')
    await closeSocket(await connected(port), 'reset')
    const { closes, fallbacks, timeWaitLeft, discardedBytes, unreadBytes } = closeTotals()
    expect(closes.fin).toBe(before.closes.fin + 1)
    expect(closes.reset).toBe(before.closes.reset + 2)
    const told = await values('socket_tuner_closes_total')
    expect(told).toEqual(
      Object.entries(closes).map(([mode, value]) => ({ labels: { mode }, value })),
    )
    for (const [name, value] of Object.entries({
      socket_tuner_time_wait_left_total: timeWaitLeft,
      socket_tuner_discarded_bytes_total: discardedBytes,
      socket_tuner_unread_bytes_total: unreadBytes,
    })) {
      expect(await values(name)).toEqual([{ labels: {}, value }])
    }
    const { served, expired, abandoned, waiting } = portWaitTotals()
    expect(await values('socket_tuner_port_waits_total')).toEqual(
      Object.entries({ served, expired, abandoned }).map(([outcome, value]) => ({
        labels: { outcome },
        value,
      })),
    )
    expect(await values('socket_tuner_port_waiting_connections')).toEqual([
      { labels: {}, value: waiting },
    ])
    // Each cause exists from the start, since a rate needs a counter that begins at 0.
    expect(await values('socket_tuner_close_fallbacks_total')).toEqual(
      Object.keys(fallbackCodes).map((code) => ({
        labels: { code },
        value: (fallbacks as Record<string, number>)[code] ?? 0,
      })),
    )
    // A second scrape does not double the counters.
    expect(await values('socket_tuner_closes_total')).toEqual(told)
  })

  it('counts TIME_WAIT by destination, and sums up all others', async () => {
    registerMetrics(promClient, { registry, maxDestinations: 1000 })
    const port = await echoPort()
    for (let i = 0; i < 3; i++) await closeSocket(await connected(port), 'fin')
    const sample = { labels: { destination: `127.0.0.1:${String(port)}` }, value: 3 }
    // The last connection is over only after its peer has closed.
    const told = await until(
      'three are in TIME_WAIT',
      () => values('socket_tuner_time_wait_sockets'),
      (samples) => samples.some((each) => isDeepStrictEqual(each, sample)),
    )
    expect(told.filter(({ labels }) => labels.destination === 'other')).toHaveLength(1)
    expect(told.length).toBeLessThanOrEqual(1001)
  })

  it('reports a single number if no destinations are wanted', async () => {
    registerMetrics(promClient, { registry, maxDestinations: 0 })
    const [{ labels, value } = { labels: {}, value: -1 }, ...more] = await values(
      'socket_tuner_time_wait_sockets',
    )
    expect(labels).toEqual({ destination: 'other' })
    expect(Number.isInteger(value)).toBe(true)
    expect(typeof timeWaitCount()).toBe('number')
    expect(more).toEqual([])
  })

  it('reports the last reading of a watch, with +Inf for ports that will not run out', async () => {
    const port = await echoPort()
    const held = await connected(port)
    const watch = watchPorts({
      destinations: [{ remoteAddress: '127.0.0.1', remotePort: port }],
      intervalMs: 10,
    })
    closeLater(() => {
      watch.stop()
    })
    const { names } = registerMetrics(promClient, { registry, watch })
    expect(await values('socket_tuner_ports_used')).toEqual([])
    await watch[Symbol.asyncIterator]().next()
    const labels = { destination: `127.0.0.1:${String(port)}`, source: '127.0.0.1' }
    expect(held.destroyed).toBe(false)
    expect(await values('socket_tuner_ports_used')).toEqual([{ labels, value: 1 }])
    expect(await values('socket_tuner_ports_exhaustion_seconds')).toEqual([
      { labels, value: Infinity },
    ])
    const [report] = watch.latest
    expect(await values('socket_tuner_ports')).toEqual([{ labels, value: report?.ports }])
    const text = await registry.metrics()
    expect(text).toMatch(/^socket_tuner_ports_exhaustion_seconds\{.*\} \+Inf$/m)
    for (const name of names) expect(text).toContain(`# TYPE ${name} `)
    expect(text).toContain('# TYPE socket_tuner_closes_total counter')
  })

  const watched = [
    'socket_tuner_ports',
    'socket_tuner_ports_used',
    'socket_tuner_ports_available',
    'socket_tuner_ports_exhaustion_seconds',
    'socket_tuner_connections_per_second',
    'socket_tuner_watch_last_reading_timestamp_seconds',
  ]

  async function upAndGauges(): Promise<{ up: number | undefined; gauges: number }> {
    const [up] = await values('socket_tuner_watch_up')
    const all = await Promise.all(watched.map(values))
    return { up: up?.value, gauges: all.filter(({ length }) => length > 0).length }
  }

  it('publishes port gauges only while the readings of the watch succeed', async () => {
    readingsCostNothing()
    configure({ hazards: 'ignore' })
    const watch = watchPorts({
      destinations: [{ remoteAddress: '127.0.0.1', remotePort: 9 }],
      intervalMs: 10,
    })
    closeLater(() => {
      watch.stop()
    })
    registerMetrics(promClient, { registry, watch })
    const none = { up: 0, gauges: 0 }
    const all = { up: 1, gauges: watched.length }
    expect(await upAndGauges()).toEqual(none)
    await watch[Symbol.asyncIterator]().next()
    expect(await upAndGauges()).toEqual(all)
    const readings = await values('socket_tuner_watch_last_reading_timestamp_seconds')
    const times = watch.latest.map(({ time }) => time / 1000)
    expect(readings.map(({ value }) => value)).toEqual(times)
    const spy = jest.spyOn(native, 'dumpSockets').mockImplementation(() => -os.errno.EAGAIN)
    await until('a failed reading', upAndGauges, (now) => isDeepStrictEqual(now, none))
    const [failed] = await values('socket_tuner_watch_failed_readings_total')
    expect(failed?.value).toBeGreaterThan(0)
    spy.mockRestore()
    await until('a look is good', upAndGauges, (now) => isDeepStrictEqual(now, all))
    const refused = jest.spyOn(native, 'dumpSockets').mockImplementation(() => -os.errno.EPERM)
    await expect(watch.ended).rejects.toEqual(coded('EPERM'))
    refused.mockRestore()
    expect(await upAndGauges()).toEqual(none)
  })

  it('publishes no port gauges of a stopped watch', async () => {
    const watch = watchPorts({ destinations: [{ remoteAddress: '127.0.0.1', remotePort: 9 }] })
    registerMetrics(promClient, { registry, watch })
    await watch[Symbol.asyncIterator]().next()
    watch.stop()
    expect(watch.latest).toHaveLength(1)
    expect(await upAndGauges()).toEqual({ up: 0, gauges: 0 })
  })

  it('does not add up two destinations that have the same labels', async () => {
    const port = await echoPort()
    await connected(port)
    const destination = { remoteAddress: '127.0.0.1', remotePort: port }
    const narrow = { ...destination, portRange: { min: 40_000, max: 40_099 } }
    const watch = watchPorts({ destinations: [destination, destination, narrow] })
    closeLater(() => {
      watch.stop()
    })
    registerMetrics(promClient, { registry, watch })
    await watch[Symbol.asyncIterator]().next()
    const labels = { destination: `127.0.0.1:${String(port)}`, source: '127.0.0.1' }
    expect(await values('socket_tuner_ports_used')).toEqual([{ labels, value: 1 }])
  })

  it('counts an IPv4-mapped destination with its IPv4 address', async () => {
    registerMetrics(promClient, { registry, maxDestinations: 1000 })
    const port = await echoPort()
    for (const host of ['127.0.0.1', '127.0.0.1', '::ffff:127.0.0.1', '::ffff:127.0.0.1']) {
      const socket = net.connect(port, host)
      destroyLater(socket)
      await once(socket, 'connect')
      await closeSocket(socket, 'fin')
    }
    const sample = { labels: { destination: `127.0.0.1:${String(port)}` }, value: 4 }
    await until(
      'all four are there',
      () => values('socket_tuner_time_wait_sockets'),
      (samples) => samples.some((each) => isDeepStrictEqual(each, sample)),
    )
  })

  it('omits metrics that cannot be read, and reports the others', async () => {
    registerMetrics(promClient, { registry })
    const spy = jest.spyOn(native, 'dumpSockets').mockImplementation(() => -24)
    const text = await registry.metrics()
    spy.mockRestore()
    expect(text).not.toMatch(/^socket_tuner_time_wait_sockets\{/m)
    expect(text).toMatch(/^socket_tuner_closes_total\{mode="fin"\} \d+$/m)
  })

  it('uses the registry of prom-client by default, and can be removed from it', () => {
    const metrics = registerMetrics(promClient, { prefix: 'own_' })
    expect(metrics.names).toContain('own_closes_total')
    expect(promClient.register.getSingleMetric('own_closes_total')).toBeDefined()
    metrics[Symbol.dispose]()
    metrics.stop()
    expect(promClient.register.getSingleMetric('own_closes_total')).toBeUndefined()
  })

  it('refuses registered names before it registers any', () => {
    new promClient.Counter({
      name: 'socket_tuner_unread_bytes_total',
      help: '-',
      registers: [registry],
    })
    expect(failureOf(() => registerMetrics(promClient, { registry }))).toEqual(
      coded('ERR_INVALID_ARG_VALUE'),
    )
    expect(registry.getMetricsAsArray()).toHaveLength(1)
  })

  it.each<[string, unknown, unknown, string]>([
    ['no prom-client', undefined, {}, 'ERR_INVALID_ARG_TYPE'],
    ['another module', net, {}, 'ERR_INVALID_ARG_TYPE'],
    ['an invalid registry', promClient, { registry: {} }, 'ERR_INVALID_ARG_TYPE'],
    ['an invalid watch', promClient, { watch: {} }, 'ERR_INVALID_ARG_TYPE'],
    [
      'a watch whose latest is a list',
      promClient,
      { watch: { latest: [] } },
      'ERR_INVALID_ARG_TYPE',
    ],
    ['a prefix that is invalid in names', promClient, { prefix: '1-' }, 'ERR_INVALID_ARG_VALUE'],
    ['a prefix of another type', promClient, { prefix: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ['1,001 destinations', promClient, { maxDestinations: 1001 }, 'ERR_OUT_OF_RANGE'],
    ['half a destination', promClient, { maxDestinations: 0.5 }, 'ERR_OUT_OF_RANGE'],
  ])('refuses %s', (_, client, options, code) => {
    expect(failureOf(() => registerMetrics(client as never, options as never))).toEqual(coded(code))
  })
})

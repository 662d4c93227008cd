import { once } from 'node:events'
import * as net from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import * as promClient from 'prom-client'
import { closeSocket, closeTotals, timeWaitCount, watchPorts } from '../../lib'
import { registerMetrics } from '../../lib/adapters/metrics'
import { native } from '../../lib/binding'
import { coded } from '../helpers/coded'
import { listenOnFreshPort } from '../helpers/fresh-port'
import { until } from '../helpers/until'
import { closeLater, destroyLater, failureOf } from '../sockets'

type Labels = Record<string, string | number>

let registry: promClient.Registry
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
  it('tells what closes came to, as closeTotals() does', async () => {
    registerMetrics(promClient, { registry })
    const port = await echoPort()
    const before = closeTotals()
    await closeSocket(await connected(port), { mode: 'fin' })
    await closeSocket(await connected(port), { mode: 'reset' })
    await closeSocket(await connected(port), { mode: 'reset' })
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
    expect(await values('socket_tuner_close_fallbacks_total')).toEqual(
      Object.entries(fallbacks).map(([code, value]) => ({ labels: { code }, value })),
    )
    // A counter is not told double when it is scraped twice.
    expect(await values('socket_tuner_closes_total')).toEqual(told)
  })

  it('counts TIME_WAIT by destination, and the rest together', async () => {
    registerMetrics(promClient, { registry, maxDestinations: 1000 })
    const port = await echoPort()
    for (let i = 0; i < 3; i++) await closeSocket(await connected(port), { mode: 'fin' })
    const sample = { labels: { destination: `127.0.0.1:${String(port)}` }, value: 3 }
    // The last one is not over until its peer has closed.
    const told = await until(
      'three are in TIME_WAIT',
      () => values('socket_tuner_time_wait_sockets'),
      (samples) => samples.some((each) => isDeepStrictEqual(each, sample)),
    )
    expect(told.filter(({ labels }) => labels.destination === 'other')).toHaveLength(1)
    expect(told.length).toBeLessThanOrEqual(1001)
  })

  it('has one number for all with no destination', async () => {
    registerMetrics(promClient, { registry, maxDestinations: 0 })
    const [{ labels, value } = { labels: {}, value: -1 }, ...more] = await values(
      'socket_tuner_time_wait_sockets',
    )
    expect(labels).toEqual({ destination: 'other' })
    expect(Number.isInteger(value)).toBe(true)
    expect(typeof timeWaitCount()).toBe('number')
    expect(more).toEqual([])
  })

  it("tells a watch's last look, and +Inf where no end is in sight", async () => {
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

  it('leaves out what cannot be had, and tells the rest', async () => {
    registerMetrics(promClient, { registry })
    const spy = jest.spyOn(native, 'dumpSockets').mockImplementation(() => -24)
    const text = await registry.metrics()
    spy.mockRestore()
    expect(text).not.toMatch(/^socket_tuner_time_wait_sockets\{/m)
    expect(text).toMatch(/^socket_tuner_closes_total\{mode="fin"\} \d+$/m)
  })

  it('goes into the registry of prom-client itself without another, and out of it again', () => {
    const metrics = registerMetrics(promClient, { prefix: 'own_' })
    expect(metrics.names).toContain('own_closes_total')
    expect(promClient.register.getSingleMetric('own_closes_total')).toBeDefined()
    metrics[Symbol.dispose]()
    metrics.stop()
    expect(promClient.register.getSingleMetric('own_closes_total')).toBeUndefined()
  })

  it('refuses names that are taken before it registers one', () => {
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
    ['a registry that is none', promClient, { registry: {} }, 'ERR_INVALID_ARG_TYPE'],
    ['a watch that is none', promClient, { watch: {} }, 'ERR_INVALID_ARG_TYPE'],
    ['a prefix that no name begins with', promClient, { prefix: '1-' }, 'ERR_INVALID_ARG_VALUE'],
    ['a prefix of another type', promClient, { prefix: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ['1,001 destinations', promClient, { maxDestinations: 1001 }, 'ERR_OUT_OF_RANGE'],
    ['half a destination', promClient, { maxDestinations: 0.5 }, 'ERR_OUT_OF_RANGE'],
  ])('refuses %s', (_, client, options, code) => {
    expect(failureOf(() => registerMetrics(client as never, options as never))).toEqual(coded(code))
  })
})

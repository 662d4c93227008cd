import type { PortBudget, PortReport } from '../../lib/ports'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import type { Program } from '../helpers/program'
import { until } from '../helpers/until'

interface Filled {
  made: number
  error?: { code: string }
}

interface Steady {
  made: number
  over: number
  code: string
  reports: PortReport[]
}

const host = '127.0.0.1'

labDescribe('a port budget', ['root', 'ip'], () => {
  const namespace = useNamespace({
    'net.ipv4.ip_local_port_range': '40000 40999',
    'net.ipv4.ip_local_reserved_ports': '40100-40119,40500',
  })
  let program: Program
  let port: number

  beforeAll(async () => {
    program = (await namespace().start('budget')).program
    port = (await namespace().serve('sink-server', { firstPort: 40_007 })).port
  })

  const budget = async (options: object = {}): Promise<PortBudget> =>
    (await program.ask('budget', {
      remoteAddress: host,
      remotePort: port,
      ...options,
    })) as PortBudget

  async function fill(client: object): Promise<Filled> {
    const config = { way: 'net.connect', ports: [port], ...client }
    return (await namespace().perform('port-client', config)) as Filled
  }

  /** Resolves when all connections are in TIME_WAIT. */
  const settled = () =>
    until('all are in TIME_WAIT', budget, ({ used, timeWait }) => used === timeWait)

  it('excludes reserved ports and ports with a listener', async () => {
    const all = 1000 - 21 - 1
    expect(await budget()).toMatchObject({
      localAddress: host,
      range: { min: 40_000, max: 40_999 },
      ports: all,
      reserved: 21,
      listening: 1,
      used: 0,
      free: all,
      available: all,
      untilSlow: 500 - 11,
      timeWaitReuse: { setting: 0, applies: false },
      heldSeconds: 60,
      sustainableRate: all / 60,
    })
  })

  it('measures the cost of connect() without sending a segment', async () => {
    const sent = async () => {
      const text = await namespace().run('cat', '/proc/net/snmp')
      return text.split('\n').filter((line) => line.startsWith('Tcp:'))
    }
    const before = await sent()
    const destinations = [{ remoteAddress: host, remotePort: port }]
    const options = { destinations, intervalMs: 10, count: 5 }
    const reports = (await program.ask('watch', options)) as PortReport[]
    expect(reports).toHaveLength(5)
    for (const { probeMicroseconds } of reports) expect(probeMicroseconds).toBeGreaterThan(0)
    expect(await sent()).toEqual(before)
  })

  it('predicts the number of possible connections exactly', async () => {
    expect(await fill({ count: 300 })).toMatchObject({ made: 300 })
    const before = await settled()
    expect(before).toMatchObject({ used: 300, timeWait: 300, byState: { TIME_WAIT: 300 } })
    // A source that the budget does not include.
    expect(await budget({ localAddress: '127.0.0.2' })).toMatchObject({ used: 0 })
    // net.connect() cannot set a port range, so connect() is used.
    const portRange = { min: 40_900, max: 40_999 }
    const few = await budget({ portRange })
    expect(few.ports).toBe(100)
    const options = { portRange }
    const inFew = await fill({ way: 'connect', count: 200, options })
    expect(inFew).toMatchObject({ made: few.available, error: { code: 'EADDRNOTAVAIL' } })
    const { available } = await budget()
    const rest = await fill({ count: 1000, atATime: 1 })
    expect(rest).toMatchObject({ made: available, error: { code: 'EADDRNOTAVAIL' } })
    expect(await budget()).toMatchObject({ available: 0, secondsUntilExhaustion: 0, untilSlow: 0 })
  })

  it.each([
    ['tcp_tw_reuse=1', '1', true],
    ['tcp_tw_reuse=2 on loopback', '2', true],
    ['tcp_tw_reuse=0', '0', false],
  ])('counts the reusable ports in TIME_WAIT with %s', async (_, setting, applies) => {
    namespace().sysctl('net.ipv4.tcp_tw_reuse', setting)
    const { timeWait } = await settled()
    expect(timeWait).toBe(978)
    if (!applies) {
      expect(await budget()).toMatchObject({ reusable: 0, timeWaitReuse: { applies } })
      return
    }
    const ripe = await until('the delay is over', settled, ({ reusable }) => reusable === timeWait)
    expect(ripe).toMatchObject({
      available: timeWait,
      timeWaitReuse: { applies, delayMs: 1000 },
      heldSeconds: 1,
    })
    // A probe would end an entry each time.
    const destinations = [{ remoteAddress: host, remotePort: port }]
    const options = { destinations, intervalMs: 10, count: 5 }
    for (const report of (await program.ask('watch', options)) as PortReport[])
      expect(report).toMatchObject({ timeWait, used: timeWait })
    expect(await budget()).toMatchObject({ timeWait })
    expect(await fill({ count: 200 })).toMatchObject({ made: 200 })
    namespace().sysctl('net.ipv4.tcp_timestamps', '0')
    expect(await budget()).toMatchObject({ reusable: 0, timeWaitReuse: { applies: false } })
    namespace().sysctl('net.ipv4.tcp_timestamps', '1')
  })
})

labDescribe('watchPorts() at a steady 50 connections/s with 2,000 ports', ['root', 'ip'], () => {
  const namespace = useNamespace({ 'net.ipv4.ip_local_port_range': '40000 41999' })

  it('predicts when the ports run out, and warns while connect() is still fast', async () => {
    const { port } = await namespace().serve('sink-server')
    const config = { port, perSecond: 50, intervalMs: 500, lookCostsMs: 0 }
    const { made, over, code, reports } = (await namespace().perform(
      'steady-client',
      config,
    )) as Steady
    expect(code).toBe('EADDRNOTAVAIL')
    expect(made).toBeGreaterThanOrEqual(2000)
    const late = reports.filter(({ used, ports }) => used >= 0.2 * ports)
    expect(late.length).toBeGreaterThan(10)
    const wrong = late
      .map(({ time, used, secondsUntilExhaustion: said = Infinity }) => {
        const were = (over - time) / 1000
        return { used, said, were, error: Math.abs(said - were) }
      })
      // The time cannot be known more precisely than one reading.
      .filter(({ error, were }) => error > Math.max(0.15 * were, 0.5))
    expect(wrong).toEqual([])
    const warned = reports.find(({ troubles }) => troubles.includes('used'))
    expect(warned?.untilSlow).toBeGreaterThan(0)
    const sooner = reports.find(({ troubles }) => troubles.includes('exhaustion'))
    expect(sooner?.untilSlow).toBeGreaterThan(0)
  })
})

labDescribe('watchPorts() while half of 28,232 ports are used up', ['root', 'ip'], () => {
  const namespace = useNamespace({ 'net.ipv4.ip_local_port_range': '32768 60999' })

  it('warns about the ports first, even with a reading only every 10 s, and then about a slow connect()', async () => {
    const { port } = await namespace().serve('sink-server')
    const config = {
      port,
      perSecond: 500,
      intervalMs: 250,
      lookCostsMs: 40,
      stopAt: 'slow-connect',
    }
    const { reports } = (await namespace().perform('steady-client', config)) as Steady
    const first = (trouble: string) =>
      reports.findIndex(({ troubles }) => troubles.some((each) => each === trouble))
    expect(first('used')).toBeGreaterThan(0)
    expect(first('slow-connect')).toBeGreaterThan(first('used'))
    expect(first('slow-connect')).toBeGreaterThan(first('exhaustion'))
    // From here on, each connect() first searches the half that is full.
    expect(reports[first('slow-connect')]?.untilSlow).toBeLessThan(1000)
    expect(reports[first('used')]?.untilSlow).toBeGreaterThan(0)
  })
})

import { labDescribe } from '../helpers/lab'
import { Namespace } from '../helpers/namespace'
import { size } from '../helpers/size'
import { until } from '../helpers/until'

interface PortRun {
  made: number
  open: number
  error?: { code: string; syscall: string; message: string; space?: string; timeWait?: number }
  usage?: { address: string; timeWait: number; free: number }[]
}

/** 32768 to 60999. */
const PORTS = 28_232
const defaultPorts = { 'net.ipv4.ip_local_port_range': '32768 60999' }

/** Runs the client against servers on a number of ports, in their own namespace. */
async function fill(
  sysctls: Record<string, string>,
  client: object,
  servers = 1,
): Promise<PortRun> {
  const namespace = new Namespace(sysctls)
  try {
    const { ready } = await namespace.start('sink-server', { ports: servers })
    const { ports } = ready as { ports: number[] }
    return (await namespace.perform('port-client', { ports, ...client })) as PortRun
  } finally {
    await namespace.remove()
  }
}

labDescribe('connections to one address and port that leave TIME_WAIT', ['root', 'ip'], () => {
  it('take at least 98 % of the ports through connect() before the first failure', async () => {
    const { made, error } = await fill(defaultPorts, { way: 'connect', count: 2 * PORTS })
    expect(made).toBeGreaterThanOrEqual(0.98 * PORTS)
    expect(error).toMatchObject({ code: 'EADDRNOTAVAIL', syscall: 'connect', space: 'tuple' })
    expect(error?.timeWait).toBeGreaterThanOrEqual(0.98 * PORTS)
    expect(error?.message).toContain('all 28232 ephemeral ports (32768 to 60999) from this source')
    expect(error?.message).toContain('net.ipv4.tcp_tw_reuse=1 (it is 0)')
  })
})

labDescribe('the ports of a narrow range', ['root', 'ip'], () => {
  const narrow = { 'net.ipv4.ip_local_port_range': '40000 40099' }
  const held = { hold: true, atATime: 1, count: 500 }

  it('serve four destinations each with localAddress of connect()', async () => {
    const options = { localAddress: '127.0.0.9' }
    const run = await fill(narrow, { ...held, way: 'connect', options }, 4)
    expect(run.made).toBe(400)
    expect(run.open).toBe(400)
    expect(run.error).toMatchObject({ code: 'EADDRNOTAVAIL', space: 'tuple', timeWait: 0 })
    expect(run.error?.message).toContain('from 127.0.0.9 to 127.0.0.1')
  })

  it('serve only one destination in total with localAddress of net.connect()', async () => {
    const options = { localAddress: '127.0.0.9' }
    const run = await fill(narrow, { ...held, way: 'net.connect', options }, 4)
    expect(run.made).toBe(100)
    expect(run.error).toMatchObject({ code: 'EADDRINUSE' })
  })

  it('run out at bind() if a port is reserved, and the error reports it', async () => {
    const options = {
      localAddress: '127.0.0.9',
      settings: { IP_BIND_ADDRESS_NO_PORT: false },
    }
    const run = await fill(narrow, { ...held, way: 'connect', options }, 4)
    expect(run.made).toBe(100)
    expect(run.error).toMatchObject({ code: 'EADDRINUSE', syscall: 'bind', space: 'bind' })
    expect(run.error?.message).toContain('IP_BIND_ADDRESS_NO_PORT')
  })

  it('can be limited further by portRange', async () => {
    const options = { portRange: { min: 40010, max: 40029 } }
    const run = await fill(narrow, { ...held, way: 'connect', options })
    expect(run.made).toBe(20)
    expect(run.error).toMatchObject({ code: 'EADDRNOTAVAIL', space: 'tuple' })
    expect(run.error?.message).toContain('a wider portRange')
  })
})

labDescribe('more connections at once than there are ports', ['root', 'ip'], () => {
  const narrow = { 'net.ipv4.ip_local_port_range': '40000 40099' }
  const client = { way: 'connect', atATime: 300, count: 5_000 }

  it('fail without portWaitMs', async () => {
    const { made, error } = await fill(narrow, { ...client, options: { close: 'deliver' } })
    expect(made).toBeLessThan(5_000)
    expect(error).toMatchObject({ code: 'EADDRNOTAVAIL', space: 'tuple' })
  })

  it.each([{}, { source: ['127.0.0.8', '127.0.0.9'] }])(
    'are all made with portWaitMs, one after another (%j)',
    async (from) => {
      const options = { close: 'deliver', portWaitMs: 200_000, ...from }
      const { made, error } = await fill(narrow, { ...client, options })
      expect({ made, error }).toEqual({ made: 5_000, error: undefined })
    },
  )

  it('fail with a new error if connect(2) returns another one while they wait', async () => {
    const namespace = new Namespace(narrow)
    try {
      const { ready } = await namespace.start('sink-server')
      const { ports } = ready as { ports: number[] }
      const options = { portWaitMs: 200_000 }
      const held = { way: 'connect', ports, options, hold: true, atATime: 1, count: 101 }
      const { program } = await namespace.start('port-client', held)
      const done = program.ask('run')
      await until(
        'the last one waits',
        () => program.ask('waits'),
        (totals) => (totals as { waiting: number }).waiting === 1,
      )
      await namespace.run('ip', 'route', 'flush', 'table', 'local')
      expect(await done).toMatchObject({
        made: 100,
        error: { code: 'ENETUNREACH', syscall: 'connect', address: '127.0.0.1' },
      })
      expect(await program.ask('waits')).toMatchObject({ waiting: 0, served: 1 })
    } finally {
      await namespace.remove()
    }
  })

  it('fail at once if a free port would not help', async () => {
    const options = { portWaitMs: 200_000 }
    const { made, error } = await fill(
      { ...narrow, 'net.ipv6.conf.all.disable_ipv6': '1' },
      { way: 'connect', host: '::1', options, count: 1 },
    )
    expect(made).toBe(0)
    expect(error).toMatchObject({
      code: 'EADDRNOTAVAIL',
      message: expect.stringContaining('this host has no source address for ::1') as string,
    })
  })
})

labDescribe('a SourcePool of eight addresses', ['root', 'ip'], () => {
  // All connections must be made within the 60 s of TIME_WAIT. The whole range, some 229,000 connections, would need a
  // machine that makes 4,000 per second.
  const ports = size('SOURCE_POOL_PORTS')
  const least = Math.floor(0.98 * 8 * ports)

  it('leaves TIME_WAIT on 98 % of the ports of each address before the first failure', async () => {
    const sources = Array.from({ length: 8 }, (_, index) => `127.0.0.${String(index + 2)}`)
    const range = `32768 ${String(32_768 + ports - 1)}`
    const client = { way: 'connect', sources, count: 10 * ports }
    const { made, error, usage } = await fill({ 'net.ipv4.ip_local_port_range': range }, client)
    expect(made).toBeGreaterThanOrEqual(least)
    expect(error).toMatchObject({ code: 'EADDRNOTAVAIL', syscall: 'connect', space: 'tuple' })
    expect(error?.timeWait).toBeGreaterThanOrEqual(least)
    expect(error?.message).toContain('from each of the 8 source addresses')
    expect(error?.message).toContain('more source addresses')
    expect(usage?.map(({ address }) => address)).toEqual(sources)
  })
})

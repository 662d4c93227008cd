import { labDescribe } from '../helpers/lab'
import { Namespace } from '../helpers/namespace'
import { size } from '../helpers/size'

interface PortRun {
  made: number
  open: number
  error?: { code: string; syscall: string; message: string; space?: string; timeWait?: number }
  usage?: { address: string; timeWait: number; free: number }[]
}

/** 32768 to 60999. */
const PORTS = 28_232
const defaultPorts = { 'net.ipv4.ip_local_port_range': '32768 60999' }

/** Runs the client against servers on so many ports, in a namespace of their own. */
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

  it('serve four destinations each through connect() with localAddress', async () => {
    const options = { localAddress: '127.0.0.9' }
    const run = await fill(narrow, { ...held, way: 'connect', options }, 4)
    expect(run.made).toBe(400)
    expect(run.open).toBe(400)
    expect(run.error).toMatchObject({ code: 'EADDRNOTAVAIL', space: 'tuple', timeWait: 0 })
    expect(run.error?.message).toContain('from 127.0.0.9 to 127.0.0.1')
  })

  it('serve them once in all through net.connect() with localAddress', async () => {
    const options = { localAddress: '127.0.0.9' }
    const run = await fill(narrow, { ...held, way: 'net.connect', options }, 4)
    expect(run.made).toBe(100)
    expect(run.error).toMatchObject({ code: 'EADDRINUSE' })
  })

  it('run out at bind() where a port is reserved, and the error says so', async () => {
    const options = {
      localAddress: '127.0.0.9',
      settings: { IP_BIND_ADDRESS_NO_PORT: false },
    }
    const run = await fill(narrow, { ...held, way: 'connect', options }, 4)
    expect(run.made).toBe(100)
    expect(run.error).toMatchObject({ code: 'EADDRINUSE', syscall: 'bind', space: 'bind' })
    expect(run.error?.message).toContain('IP_BIND_ADDRESS_NO_PORT')
  })

  it('are confined further by portRange', async () => {
    const options = { portRange: { min: 40010, max: 40029 } }
    const run = await fill(narrow, { ...held, way: 'connect', options })
    expect(run.made).toBe(20)
    expect(run.error).toMatchObject({ code: 'EADDRNOTAVAIL', space: 'tuple' })
    expect(run.error?.message).toContain('a wider portRange')
  })
})

labDescribe('a SourcePool of eight addresses', ['root', 'ip'], () => {
  // All of them within the 60 s of a TIME_WAIT: the whole range, some 229,000 connections, would take a
  // machine that makes 4,000 a second.
  const ports = size('SOURCE_POOL_PORTS')
  const least = Math.floor(0.98 * 8 * ports)

  it('leaves TIME_WAIT on 98 % of the ports of each before the first failure', async () => {
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

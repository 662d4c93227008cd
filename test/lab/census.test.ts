import type { Census, CensusOptions, TcpState } from '../../lib'
import { labDescribe } from '../helpers/lab'
import { useNamespace, type Namespace } from '../helpers/namespace'
import type { Program } from '../helpers/program'

interface Filled {
  made: number
}

const everyField = ['localAddress', 'localPort', 'remoteAddress', 'remotePort'] as const
const SOURCES = Array.from({ length: 8 }, (_, index) => `127.0.0.${String(index + 2)}`)

/** The sockets that ss(8) shows, one line each: local and remote endpoint. */
async function ofSs(namespace: Namespace, ...filter: string[]): Promise<string[]> {
  const text = await namespace.run('ss', '-H', '-tan', ...filter)
  return (
    text
      .split('\n')
      .map((line) => line.trim().split(/\s+/).slice(-2).join(' '))
      // All addresses of both families, and no peer.
      .map((line) => line.replaceAll(/\*:(?=[\d*])/g, '[::]:').replace(/:\*$/, ':0'))
      .filter((line) => line !== '')
      .toSorted()
  )
}

/** The same of a census that is grouped by every field. */
function ofCensus({ groups }: Census): string[] {
  return groups
    .flatMap(({ count, localAddress, localPort, remoteAddress, remotePort }) =>
      Array<string>(count).fill(
        `${inBrackets(localAddress)}:${String(localPort)} ${inBrackets(remoteAddress)}:${String(remotePort)}`,
      ),
    )
    .toSorted()
}

function inBrackets(address = ''): string {
  return address.includes(':') ? `[${address}]` : address
}

labDescribe('a census of TIME_WAIT', ['root', 'ip', 'ipv6'], () => {
  const namespace = useNamespace({ 'net.ipv4.ip_local_port_range': '32768 60999' })
  let program: Program
  let ports: number[]

  beforeAll(async () => {
    program = (await namespace().start('census')).program
    const { ready } = await namespace().start('sink-server', { host: '::', ports: 2 })
    ports = (ready as { ports: number[] }).ports
  })

  const take = async (options: CensusOptions): Promise<Census> =>
    (await program.ask('census', options)) as Census

  async function fill(client: object): Promise<number> {
    const config = { way: 'connect', ports: ports.slice(0, 1), ...client }
    return ((await namespace().perform('port-client', config)) as Filled).made
  }

  async function expectEqual(options: CensusOptions, ...filter: string[]): Promise<number> {
    const census = await take({ ...options, groupBy: everyField })
    const shown = await ofSs(namespace(), ...filter)
    expect(ofCensus(census)).toEqual(shown)
    expect(census).toMatchObject({ total: shown.length, interrupted: false })
    return census.total
  }

  it('equals ss with no entry, and with one', async () => {
    expect(await expectEqual({}, 'state', 'time-wait')).toBe(0)
    expect(await take({})).toEqual({ total: 0, groups: [], interrupted: false })
    expect(await fill({ count: 1, atATime: 1 })).toBe(1)
    expect(await expectEqual({}, 'state', 'time-wait')).toBe(1)
    expect(await program.ask('count')).toBe(1)
  })

  it.each<[string, TcpState[], string[]]>([
    ['connections', ['ESTABLISHED'], ['state', 'established']],
    ['listening sockets', ['LISTEN'], ['state', 'listening']],
  ])('equals ss for %s of both families', async (_, states, filter) => {
    const { program: client } = await namespace().start('port-client', {
      way: 'connect',
      ports,
      count: 10,
      atATime: 2,
      hold: true,
    })
    const six = await namespace().start('port-client', {
      way: 'connect',
      host: '::1',
      ports,
      count: 10,
      atATime: 2,
      hold: true,
    })
    await client.ask('run')
    await six.program.ask('run')
    expect(await expectEqual({ states }, ...filter)).toBeGreaterThan(0)
    const [first = 0] = ports
    const own = { states, localPort: first }
    await expectEqual(own, ...filter, 'sport', '=', `:${String(first)}`)
    await expectEqual({ states, remoteAddress: '::1' }, ...filter, 'dst', '[::1]')
    await client.stop()
    await six.program.stop()
  })

  it('equals ss with all ports of eight addresses in use', async () => {
    const made = await fill({ sources: SOURCES, count: 200_000 })
    expect(made).toBe(200_000)
    const before = (await program.ask('count')) as number
    const census = await take({ groupBy: ['localAddress', 'remoteAddress', 'remotePort'] })
    const after = (await program.ask('count')) as number
    // Where the machine is slow the first entries end while they are counted.
    expect(census.total).toBeLessThanOrEqual(before)
    expect(census.total).toBeGreaterThanOrEqual(after)
    const pool = census.groups.filter(({ localAddress = '' }) => SOURCES.includes(localAddress))
    expect(pool).toHaveLength(SOURCES.length)
    for (const { remoteAddress, remotePort } of pool) {
      expect({ remoteAddress, remotePort }).toEqual({
        remoteAddress: '127.0.0.1',
        remotePort: ports[0],
      })
    }
  })
})

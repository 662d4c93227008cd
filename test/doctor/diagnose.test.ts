import { promises as dns } from 'node:dns'
import * as net from 'node:net'
import { diagnose, type DiagnoseOptions, type Facts } from '../../lib/doctor'
import { portBudget } from '../../lib/ports'
import { findingsOf } from '../../lib/doctor/diagnose'
import { rules } from '../../lib/doctor/rules'
import { coded } from '../helpers/coded'
import { connectionsToFreshPort, freshPort } from '../helpers/fresh-port'
import { UNKNOWN_HOST } from '../helpers/unknown-host'
import { until } from '../helpers/until'
import { listen, listeningSocket, loopback } from '../sockets'
import { FOREIGN } from '../helpers/foreign-address'

// Without /proc there are few facts.
const linux = process.platform === 'linux' ? describe : describe.skip

describe('diagnose()', () => {
  it('returns plain facts and the findings of the rules', async () => {
    const { facts, findings } = await diagnose()
    expect(JSON.parse(JSON.stringify(facts))).toEqual(facts)
    expect(findings).toEqual(findingsOf(facts))
    const codes = rules.map(({ code }) => code)
    for (const { code } of findings) expect(codes).toContain(code)
    expect(facts.platform).toBe(process.platform)
  })

  it.each<[string, string, boolean]>([
    ['an IPv4 address', '127.0.0.2', true],
    ['an IPv6 address', '::1', true],
    ['an address elsewhere', FOREIGN, false],
  ])('recognizes whether %s is loopback', async (_, host, expected) => {
    const { facts } = await diagnose({ target: { host, port: 80 } })
    expect(facts.target).toEqual({ host, port: 80, addresses: [host], loopback: expected })
  })

  it.each([
    ['0.0.0.0', '127.0.0.1'],
    ['::', '::1'],
  ])('treats %s as the address that connect() would use, %s', async (host, address) => {
    const { facts } = await diagnose({ target: { host, port: 80 } })
    expect(facts.target).toEqual({ host, port: 80, addresses: [address], loopback: true })
  })

  it.each<[string, string[], boolean]>([
    ['all its addresses are', ['127.0.0.1', '::1'], true],
    ['one of them is not', ['127.0.0.1', FOREIGN], false],
  ])('counts a name as loopback if %s', async (_, addresses, expected) => {
    const found = addresses.map((address) => ({ address, family: net.isIP(address) }))
    const lookup = jest
      .spyOn(dns, 'lookup')
      .mockImplementation((() => Promise.resolve(found)) as unknown as typeof dns.lookup)
    try {
      const { facts } = await diagnose({ target: { host: 'a.example', port: 80 } })
      expect(facts.target).toMatchObject({ addresses, loopback: expected })
    } finally {
      lookup.mockRestore()
    }
  })

  it("rejects an unknown host with Node's error", async () => {
    const target = { host: UNKNOWN_HOST, port: 80 }
    await expect(diagnose({ target })).rejects.toMatchObject({
      code: 'ENOTFOUND',
      syscall: 'getaddrinfo',
      hostname: UNKNOWN_HOST,
    })
  })

  it.each<[string, unknown, string]>([
    ['null', null, 'ERR_INVALID_ARG_TYPE'],
    ['a string', 'localhost:80', 'ERR_INVALID_ARG_TYPE'],
    ['a target that is a string', { target: 'localhost:80' }, 'ERR_INVALID_ARG_TYPE'],
    ['a target of null', { target: null }, 'ERR_INVALID_ARG_TYPE'],
    ['no host', { target: { port: 80 } }, 'ERR_INVALID_ARG_TYPE'],
    ['an empty host', { target: { host: '', port: 80 } }, 'ERR_INVALID_ARG_VALUE'],
    ['no port', { target: { host: 'localhost' } }, 'ERR_INVALID_ARG_TYPE'],
    ['port 0', { target: { host: 'localhost', port: 0 } }, 'ERR_OUT_OF_RANGE'],
    ['port 65536', { target: { host: 'localhost', port: 65_536 } }, 'ERR_OUT_OF_RANGE'],
    ['a port as a string', { target: { host: 'localhost', port: '80' } }, 'ERR_INVALID_ARG_TYPE'],
  ])('rejects %s', async (_, options, code) => {
    await expect(diagnose(options as DiagnoseOptions)).rejects.toThrow(coded(code))
  })
})

linux('diagnose() on Linux, without privilege', () => {
  async function factsNow(options?: DiagnoseOptions): Promise<Facts> {
    return (await diagnose(options)).facts
  }

  it('reads the settings, counters and limits', async () => {
    const facts = await factsNow()
    expect(facts.sysctls).toMatchObject({
      'net.ipv4.tcp_fin_timeout': expect.any(Number) as number,
      'net.ipv4.tcp_timestamps': expect.any(Number) as number,
      'net.ipv4.tcp_tw_reuse': expect.any(Number) as number,
    })
    expect(facts.portRange?.max).toBeGreaterThan(0)
    expect(facts.reservedPorts).toEqual(expect.any(Array))
    expect(facts.counters?.TCPTimeWaitOverflow).toEqual(expect.any(Number))
    expect(facts.sockets?.timeWait).toEqual(expect.any(Number))
    expect(facts.openFiles?.open).toBeGreaterThan(2)
    expect(facts.kernel?.major).toBeGreaterThan(2)
  })

  it('reads the listening sockets of both families with their waiting connections', async () => {
    const server = net.createServer()
    const port = await listen(server, '::1')
    listeningSocket()
    const listeners = (await factsNow()).listeners ?? []
    expect(listeners).toContainEqual({ address: '::1', port, sockets: 1, waiting: 0 })
    expect(listeners.some(({ address }) => address === '127.0.0.1')).toBe(true)
  })

  it('counts the connections to its target, however few', async () => {
    const remotePort = await connectionsToFreshPort(1)
    const target = { host: loopback[4], port: remotePort }
    // Other programs may begin or stop listening between the two readings.
    const { destination, ports } = await until(
      'the doctor and the budget count the same ports',
      async () => {
        const { destinations = [] } = await factsNow({ target })
        const budget = await portBudget({ remoteAddress: loopback[4], remotePort })
        const destination = destinations.find((one) => one.remotePort === remotePort)
        return { destination, ports: budget.ports }
      },
      (counted) => counted.destination?.ports === counted.ports,
    )
    expect(destination).toEqual({
      localAddress: '127.0.0.1',
      remoteAddress: '127.0.0.1',
      remotePort,
      ports,
      used: 1,
      timeWait: 0,
      reusable: 0,
      available: ports - 1,
    })
  })

  it('counts the ports for a target without connections', async () => {
    const remotePort = await freshPort()
    const target = { host: '::ffff:127.0.0.1', port: remotePort }
    expect((await factsNow({ target })).destinations).toContainEqual(
      expect.objectContaining({ remoteAddress: '127.0.0.1', remotePort, used: 0 }),
    )
  })
})

import { join } from 'node:path'
import type { Diagnosis } from '../../lib/doctor'
import type { PortBudget } from '../../lib/ports'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'
import type { Program } from '../helpers/program'

const MAIN = join(__dirname, '..', '..', 'dist', 'cli', 'main.js')
const HOST = '127.0.0.1'
const PORT = 9_001
const CRITICAL = 'destination-nearly-full'

interface Shown {
  destinations: { remotePort: number; used: number; ports: number; available: number }[]
}

/** 300 ephemeral ports, less the reserved port and that of the listening socket. */
labDescribe('doctor, top and portBudget() on 300 ports', ['root', 'ip', 'ipv6'], () => {
  const namespace = useNamespace({ 'net.ipv4.ip_local_port_range': '40000 40299' })
  let budgets: Program

  beforeAll(async () => {
    await namespace().serve('sink-server', { firstPort: PORT })
    budgets = (await namespace().start('budget')).program
  })

  /** Runs the command and returns its exit code, in the shell, and what it printed. */
  async function command(script: string): Promise<{ code: number; text: string }> {
    const output = await namespace().run(
      'bash',
      '-c',
      `set -o pipefail; cli() { "${process.execPath}" "${MAIN}" "$@"; }; ${script}; code=$?; echo; echo "code $code"`,
    )
    const [, text = '', code = ''] = /^([^]*)\n*code (\d+)\n$/.exec(output) ?? []
    return { code: Number(code), text }
  }

  async function diagnosis(): Promise<Diagnosis> {
    const args = [MAIN, 'doctor', '--json', '--target', `${HOST}:${String(PORT)}`] as const
    return JSON.parse(await namespace().run(process.execPath, ...args)) as Diagnosis
  }

  async function budget(): Promise<PortBudget> {
    const question = { remoteAddress: HOST, remotePort: PORT }
    return (await budgets.ask('budget', question)) as PortBudget
  }

  async function shown(): Promise<Shown> {
    const args = ['--once', '--json', '--target', `${HOST}:${String(PORT)}`] as const
    return JSON.parse(await namespace().run(process.execPath, MAIN, 'top', ...args)) as Shown
  }

  async function hold(firstPort: number, count: number): Promise<void> {
    const client = { port: PORT, firstPort, count }
    const { program } = await namespace().start('chosen-ports-client', client)
    expect(await program.ask('run')).toEqual({ made: count })
  }

  async function expectTaken(used: number, ports: number): Promise<void> {
    const counts = { remotePort: PORT, used, ports, available: ports - used }
    expect(await budget()).toMatchObject(counts)
    expect((await diagnosis()).facts.destinations).toContainEqual(expect.objectContaining(counts))
    expect((await shown()).destinations).toContainEqual(expect.objectContaining(counts))
  }

  const found = async () => (await diagnosis()).findings.map(({ code }) => code)
  const failOnCritical = `cli doctor --fail-on critical --target ${HOST}:${String(PORT)}`

  it('do not count 300 connections from ports outside of the range', async () => {
    await hold(20_000, 300)
    await expectTaken(0, 300)
    expect(await found()).not.toContain(CRITICAL)
    expect(await command(`${failOnCritical} >/dev/null`)).toMatchObject({ code: 0 })
  })

  it('exclude reserved, listening and bound ports, whether they are in use or not', async () => {
    await hold(40_000, 20)
    await expectTaken(20, 300)
    namespace().sysctl('net.ipv4.ip_local_reserved_ports', '40010-40029')
    await expectTaken(10, 280)
    await namespace().serve('sink-server', { firstPort: 40_030 })
    await expectTaken(10, 279)
    namespace().sysctl('net.ipv4.ip_local_reserved_ports', '')
    await expectTaken(20, 299)
  })

  it('report 270 of 299 used ports as critical, and exit with code 3 with --fail-on', async () => {
    await hold(40_031, 250)
    await expectTaken(270, 299)
    expect(await found()).toContain(CRITICAL)
    expect(await command(`${failOnCritical} >/dev/null`)).toMatchObject({ code: 3 })
    const { text } = await command(failOnCritical)
    expect(text).toContain('270 of 299 ports are in use')
    expect(await command('cli doctor >/dev/null')).toMatchObject({ code: 0 })
    // Also if the reader of the output has closed its pipe.
    expect(await command(`${failOnCritical} | true`)).toMatchObject({ code: 3 })
    expect(await command(`cli doctor | true`)).toMatchObject({ code: 0 })
  })

  it('report each problem once', async () => {
    const { text } = await command(`cli top --once --target ${HOST}:${String(PORT)} 2>&1`)
    expect(text.match(/at least 40 % of the ports are taken/g)).toHaveLength(1)
    expect(text).not.toContain('SOCKET_TUNER_PORTS_LOW')
  })

  it('count connections to a link-local address with its zone', async () => {
    const host = 'fe80::1%lo'
    await namespace().run('ip', 'address', 'add', 'fe80::1/64', 'dev', 'lo', 'nodad')
    await namespace().serve('sink-server', { host, firstPort: 9_002 })
    const client = { way: 'net.connect', host, ports: [9_002], hold: true, count: 3, atATime: 1 }
    const { program } = await namespace().start('port-client', client)
    expect(await program.ask('run')).toMatchObject({ made: 3 })
    const counts = { remoteAddress: 'fe80::1', localAddress: 'fe80::1', used: 3 }
    const question = { remoteAddress: host, remotePort: 9_002 }
    expect(await budgets.ask('budget', question)).toMatchObject(counts)
    const args = [MAIN, 'doctor', '--json', '--target', `[${host}]:9002`] as const
    const { facts } = JSON.parse(await namespace().run(process.execPath, ...args)) as Diagnosis
    expect(facts.destinations).toContainEqual(expect.objectContaining(counts))
  })

  it('report that facts are missing', async () => {
    const { code, text } = await command(
      `unshare --mount sh -c 'mount -t tmpfs none /proc; "$0" "$@"' "${process.execPath}" "${MAIN}" doctor --fail-on critical 2>&1`,
    )
    expect(text).toContain('no-kernel-facts')
    expect(text).toContain('--fail-on cannot judge: settings, connections')
    expect(code).toBe(1)
  })

  it('report a missing /proc', async () => {
    const { text } = await command(
      `unshare --mount sh -c 'mount -t tmpfs none /proc; "$0" "$@"' "${process.execPath}" "${MAIN}" top --once 2>&1`,
    )
    expect(text).toContain('/proc/net/sockstat cannot be read. This needs Linux with /proc mounted')
  })
})

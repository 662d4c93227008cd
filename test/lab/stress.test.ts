/** The command `stress` in network namespaces: ports that run out, TIME_WAIT, stalls and TLS. */
import { writeFileSync, rmSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StressResult } from '../../lib/stress'
import { makeCertificate } from '../helpers/certificate'
import { labDescribe } from '../helpers/lab'
import { useNamespace, type Namespace } from '../helpers/namespace'
import { samplesFrom } from '../helpers/samples'
import { size } from '../helpers/size'

const MAIN = join(__dirname, '..', '..', 'dist', 'cli', 'main.js')
const CONNECTIONS = size('STRESS_CONNECTIONS')

/** Runs the command in the namespace. It must succeed. */
async function stress(namespace: Namespace, ...args: readonly string[]): Promise<StressResult> {
  const output = await namespace.run(process.execPath, MAIN, 'stress', '--json', ...args)
  const result = JSON.parse(output) as StressResult
  const { planned, answered, failed, unsent, aborted } = result.requests
  expect(answered + failed + unsent + aborted).toBe(planned)
  return result
}

function urlOf(port: number): string {
  return `http://127.0.0.1:${String(port)}/`
}

labDescribe('socket-tuner stress with all ports', ['root', 'ip'], () => {
  const namespace = useNamespace({ 'net.ipv4.ip_local_port_range': '1024 65535' })

  it("leaves no TIME_WAIT with 'deliver', whatever the number of connections", async () => {
    const { server, port } = await namespace().serve('patient-server')
    const result = await stress(namespace(), urlOf(port), '--amount', String(CONNECTIONS))
    expect(result).toMatchObject({
      requests: { answered: CONNECTIONS },
      connections: { opened: CONNECTIONS },
      errors: [],
      closes: { closes: { deliver: CONNECTIONS }, fallbacks: {}, timeWaitLeft: 0 },
      kernel: { timeWaitBefore: 0, timeWaitAfter: 0 },
    })
    expect(await namespace().timeWaits({ remotePort: port })).toBe(0)
    expect(await server.ask('seen')).toMatchObject({ requests: CONNECTIONS + 1, errors: {} })
  })

  it("counts each TIME_WAIT that 'fin' leaves, and none if the target closes", async () => {
    const requests = Math.min(CONNECTIONS, 2_000)
    const { port } = await namespace().serve('http-server')
    const amount = ['--amount', String(requests)]
    const fin = await stress(namespace(), urlOf(port), ...amount, '--close', 'fin')
    expect(fin.closes).toMatchObject({ closes: { fin: requests }, timeWaitLeft: requests })
    // One more connection tested the target.
    expect(fin.kernel).toMatchObject({ timeWaitBefore: 1, timeWaitAfter: requests + 1 })
    const server = await stress(namespace(), urlOf(port), ...amount, '--close', 'server')
    expect(server.requests.answered).toBe(requests)
    expect(server.closes.timeWaitLeft).toBe(0)
    expect(server.kernel.timeWaitAfter).toBe(requests + 1)
  })

  it('reports a stall of the target in the latencies of all requests that were due during it', async () => {
    const { port } = await namespace().serve('stalling-server', { after: 200, stallMs: 1_000 })
    const options = ['--rate', '200', '--duration', '3s', '--connections', '4']
    const { latency, phases, requests } = await stress(
      namespace(),
      urlOf(port),
      ...options,
      '--requests-per-connection',
      'keep-alive',
    )
    expect(requests).toMatchObject({ planned: 600, answered: 600 })
    // 100 requests were due in the first half of the stall, and waited at least for the second half.
    const late = samplesFrom(latency, 500)
    expect(late).toBeGreaterThanOrEqual(90)
    // Only the requests in progress show the stall in their service time: one per connection.
    expect(samplesFrom(phases.service, 500)).toBeGreaterThan(0)
    expect(samplesFrom(phases.service, 500)).toBeLessThan(late / 4)
  })
})

labDescribe('socket-tuner stress with few ports', ['root', 'ip'], () => {
  const namespace = useNamespace({ 'net.ipv4.ip_local_port_range': '20000 20499' })
  /** Each test has its own target, for which all ports are free. */
  const targets: number[] = []

  // The servers start before the ports run out.
  beforeAll(async () => {
    for (let target = 0; target < 4; target++)
      targets.push((await namespace().serve('patient-server')).port)
  })

  function freshTarget(): string {
    const port = targets.pop()
    if (port === undefined) throw new Error('each test has one')
    return urlOf(port)
  }

  it("is not limited by the ports with 'deliver'", async () => {
    const { requests, errors, limits } = await stress(
      namespace(),
      freshTarget(),
      '--amount',
      '3000',
    )
    expect(requests.answered).toBe(3_000)
    expect(errors).toEqual([])
    expect(limits.map(({ code }) => code)).not.toContain('ports')
  })

  it("reports before the run that the ports will run out with 'fin'", async () => {
    const target = freshTarget()
    const output = await namespace().run(
      ...(['sh', '-c', '"$@" 2>&1 >/dev/null', 'sh'] as const),
      ...[process.execPath, MAIN, 'stress', target, '--close', 'fin', '--rate', '100'],
      ...['--duration', '1ms'],
    )
    expect(output).toBe('')
    const findings = await namespace().run(
      ...(['sh', '-c', '"$@" 2>&1 >/dev/null', 'sh'] as const),
      ...[process.execPath, MAIN, 'stress', target, '--close', 'fin', '--amount', '600'],
      ...['--connections', '600', '--duration', '100ms'],
    )
    expect(findings).toContain('error: 600 connections need a port each')
    expect(findings).toContain('warning: Each close leaves a port in TIME_WAIT for 60 s')
  })

  it("ends an invalid run that names the ports with 'fin'", async () => {
    const args = [freshTarget(), '--amount', '700', '--close', 'fin', '--connections', '50']
    const { requests, errors, limits, valid, kernel } = await stress(namespace(), ...args)
    expect(requests.answered).toBeGreaterThan(0)
    expect(requests.answered).toBeLessThanOrEqual(500)
    expect(errors).toMatchObject([
      { code: 'EADDRNOTAVAIL', phase: 'connect', count: requests.failed },
    ])
    expect(limits.map(({ code }) => code)).toContain('ports')
    expect(valid).toBe(false)
    expect(kernel.portsAfter).toBe(0)
  })

  it('can use the ports of each source address', async () => {
    const sources = ['--source', '127.0.0.1', '--source', '127.0.0.2']
    const args = [
      freshTarget(),
      ...sources,
      '--amount',
      '900',
      '--close',
      'fin',
      '--connections',
      '5',
    ]
    const { requests, plan, kernel } = await stress(namespace(), ...args)
    expect(requests.answered).toBe(900)
    expect(plan.sources).toEqual(['127.0.0.1', '127.0.0.2'])
    expect(kernel.timeWaitAfter).toBe(901)
  })
})

labDescribe('socket-tuner stress over TLS', ['root', 'ip', 'openssl'], () => {
  const namespace = useNamespace()
  const folder = mkdtempSync(join(tmpdir(), 'stress-'))
  const ca = join(folder, 'ca.pem')
  let url = ''

  beforeAll(async () => {
    const tls = makeCertificate()
    writeFileSync(ca, tls.cert)
    const { port } = await namespace().serve('http-server', { tls })
    url = `https://localhost:${String(port)}/`
  })

  afterAll(() => {
    rmSync(folder, { recursive: true })
  })

  it.each([
    ['one request on each connection', '1', 300],
    ['connections that are kept alive', 'keep-alive', 4],
  ])("measures %s, and leaves no TIME_WAIT with 'deliver'", async (_what, requests, opened) => {
    const args = ['--ca', ca, '--amount', '300', '--connections', '4']
    const result = await stress(namespace(), url, ...args, '--requests-per-connection', requests)
    expect(result).toMatchObject({
      target: { protocol: 'https' },
      requests: { answered: 300 },
      connections: { opened },
      errors: [],
      closes: { timeWaitLeft: 0 },
      kernel: { timeWaitAfter: 0 },
    })
    expect(result.phases.tls.count).toBe(opened)
  })

  it.each([
    ['an unknown authority', [], 'certificate'],
    ['another name', ['--servername', 'example.org'], "is not in the cert's altnames"],
  ])('refuses a certificate of %s', async (_what, args, message) => {
    const wanted = args.length === 0 ? args : ['--ca', ca, ...args]
    const output = await namespace().run(
      ...(['sh', '-c', '"$@" 2>&1; echo "code $?"', 'sh'] as const),
      ...[process.execPath, MAIN, 'stress', url, '--amount', '1', ...wanted],
    )
    expect(output).toContain('cannot be measured')
    expect(output).toContain(message)
    expect(output).toMatch(/code 1\n$/)
  })
})

/** `socket-tuner stress --workers` in network namespaces: ports, TIME_WAIT and delays, each counted once. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StressResult } from '../../lib/stress'
import { labDescribe } from '../helpers/lab'
import { useNamespace, type Namespace } from '../helpers/namespace'
import { samplesFrom } from '../helpers/samples'

const MAIN = join(__dirname, '..', '..', 'dist', 'cli', 'main.js')
const WORKERS = 3

/** Runs the command inside, which must succeed. */
async function stress(namespace: Namespace, ...args: readonly string[]): Promise<StressResult> {
  const line = [MAIN, 'stress', '--json', '--workers', String(WORKERS), ...args]
  const result = JSON.parse(await namespace.run(process.execPath, ...line)) as StressResult
  const { planned, answered, failed, unsent, aborted } = result.requests
  expect(answered + failed + unsent + aborted).toBe(planned)
  expect(result.workers).toHaveLength(WORKERS)
  return result
}

function urlOf(port: number): string {
  return `http://127.0.0.1:${String(port)}/`
}

labDescribe('socket-tuner stress --workers', ['root', 'ip'], () => {
  const namespace = useNamespace()

  it.each([
    ['deliver', 0],
    ['fin', 1_000],
  ] as const)("counts the TIME_WAIT entries that '%s' leaves once: %d", async (close, left) => {
    const { port } = await namespace().serve('patient-server')
    const args = [urlOf(port), '--amount', '1000', '--close', close]
    const result = await stress(namespace(), ...args)
    // One more tested the target.
    const all = close === 'fin' ? left + 1 : 0
    expect(result).toMatchObject({
      requests: { answered: 1_000 },
      connections: { opened: 1_000 },
      errors: [],
      closes: { closes: { [close]: 1_000 }, timeWaitLeft: left },
      kernel: { timeWaitBefore: all - left, timeWaitAfter: all },
    })
    const { portsBefore, portsAfter } = result.kernel
    expect((portsBefore ?? 0) - (portsAfter ?? 0)).toBe(left)
    expect(await namespace().timeWaits({ remotePort: port })).toBe(all)
  })

  it('shows each answer that the target delayed, and merges exactly', async () => {
    // All answers that are due in the stall come at its end.
    const { port } = await namespace().serve('stalling-server', { after: 200, stallMs: 1_000 })
    const options = ['--rate', '200', '--duration', '3s', '--connections', '6']
    const { latency, phases, requests, workers, series } = await stress(
      namespace(),
      urlOf(port),
      ...options,
      '--requests-per-connection',
      'keep-alive',
    )
    expect(requests).toMatchObject({ planned: 600, answered: 600 })
    expect(workers.map(({ answered }) => answered)).toEqual([200, 200, 200])
    expect(latency.count).toBe(600)
    expect(phases.queue.count).toBe(600)
    expect(series.reduce((sum, { answered }) => sum + answered, 0)).toBe(600)
    // 100 requests were due in the first half of the stall, and waited for its second half at least.
    expect(samplesFrom(latency, 500)).toBeGreaterThanOrEqual(90)
    expect(latency.percentilesMs.p90).toBeGreaterThanOrEqual(100)
  })
})

labDescribe('socket-tuner stress --workers with few ports', ['root', 'ip'], () => {
  const namespace = useNamespace({ 'net.ipv4.ip_local_port_range': '20000 20599' })

  it('divides the ports between the workers', async () => {
    // Outside of the range.
    const { port } = await namespace().serve('patient-server', { port: 8_080 })
    // Each worker has 200 ports, of which the test of the target has used one.
    const args = [urlOf(port), '--amount', '597', '--close', 'fin', '--connections', '6']
    const { requests, errors, kernel } = await stress(namespace(), ...args)
    expect(requests.answered).toBe(597)
    expect(errors).toEqual([])
    expect(kernel).toMatchObject({ portsBefore: 599, portsAfter: 2 })
  })

  it('names the worker whose ports run out', async () => {
    const { port } = await namespace().serve('patient-server', { port: 8_081 })
    const args = [urlOf(port), '--amount', '900', '--close', 'fin', '--connections', '60']
    const { requests, limits, valid, kernel } = await stress(namespace(), ...args)
    // The port of the test of the target is that of one of them.
    expect(requests).toMatchObject({ answered: 599, failed: 301 })
    expect(valid).toBe(false)
    const message = limits.find(({ code }) => code === 'ports')?.message
    expect(message).toMatch(/^Worker \d, the worst of 3: 101 connections found no free port here/)
    expect(kernel.portsAfter).toBe(0)
  })
})

labDescribe('socket-tuner stress merge', ['root', 'ip'], () => {
  const machines = [useNamespace(), useNamespace()]
  const folder = mkdtempSync(join(tmpdir(), 'stress-merge-'))

  afterAll(() => {
    rmSync(folder, { recursive: true })
  })

  it('adds up the runs of two network namespaces, and what their kernels counted', async () => {
    const files = await Promise.all(
      machines.map(async (machine, index) => {
        const { port } = await machine().serve('patient-server', { port: 8_080 })
        const args = [urlOf(port), '--amount', '300', '--close', 'fin']
        const file = join(folder, `${String(index)}.json`)
        writeFileSync(file, JSON.stringify(await stress(machine(), ...args)))
        return file
      }),
    )
    const output = execFileSync(process.execPath, [MAIN, 'stress', 'merge', '--json', ...files])
    const result = JSON.parse(output.toString()) as StressResult
    expect(result).toMatchObject({
      plan: { amount: 600, connections: 100, workers: 2 * WORKERS },
      requests: { answered: 600 },
      closes: { closes: { fin: 600 }, timeWaitLeft: 600 },
      kernel: { timeWaitBefore: 2, timeWaitAfter: 602 },
    })
    expect(result.latency.count).toBe(600)
    expect(result.workers.map(({ name }) => name)).toContain('run 2, worker 3')
  })
})

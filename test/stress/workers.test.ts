/** Runs with several workers. The programs of the workers are in dist/. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import * as https from 'node:https'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type * as Stress from '../../lib/stress'
import type { StressOptions, StressResult } from '../../lib/stress'
import type * as Options from '../../lib/stress/options'
import type * as Plan from '../../lib/stress/plan'
import type * as Pool from '../../lib/stress/worker-pool'
import type * as Workers from '../../lib/stress/workers'
import { makeCertificate } from '../helpers/certificate'
import { allGone, isRunning } from '../helpers/processes'
import { until } from '../helpers/until'
import { Cli } from '../cli/run-cli'
import { destroyLater, listen } from '../sockets'
import { itCanBeAborted } from './abortion'
import { httpTarget, tcpTarget } from './servers'

const BUILT = join(__dirname, '..', '..', 'dist', 'stress')
const ENTRY = join(BUILT, 'index.js')
const { compare, findRate, stress } = jest.requireActual<typeof Stress>(ENTRY)
// These are not public.
const { checkStress } = jest.requireActual<typeof Options>(join(BUILT, 'options.js'))
const { resolveTarget } = jest.requireActual<typeof Plan>(join(BUILT, 'plan.js'))
const { WorkerPool } = jest.requireActual<typeof Pool>(join(BUILT, 'worker-pool.js'))
const { measureInWorkers } = jest.requireActual<typeof Workers>(join(BUILT, 'workers.js'))

// These tests find the workers in /proc.
const linux = process.platform === 'linux' ? it : it.skip

/** Runs to the end with workers, and checks that their parts add up to the run. */
async function resultOf(options: StressOptions): Promise<StressResult> {
  const run = stress({ connections: 8, workers: 2, ...options })
  let answered = 0
  for await (const snapshot of run) answered += snapshot.answered
  const result = await run.result
  const { requests, latency, workers, plan, series } = result
  expect(requests.answered + requests.failed + requests.unsent + requests.aborted).toBe(
    requests.planned,
  )
  expect(latency.count).toBe(requests.answered)
  expect(JSON.parse(JSON.stringify(result))).toEqual(result)
  expect(workers.reduce((sum, each) => sum + each.answered, 0)).toBe(requests.answered)
  expect(plan).toMatchObject({ connections: 8, workers: options.workers ?? 2 })
  expect(series.reduce((sum, each) => sum + each.answered, 0)).toBe(answered)
  if (options.warmupMs === undefined) expect(answered).toBe(requests.answered)
  return result
}

/** Returns the process IDs of this process's workers, on Linux. */
function workerPids(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && isWorker(pid))
}

function isWorker(pid: number): boolean {
  try {
    const [, parent] =
      /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8')) ?? []
    const line = readFileSync(`/proc/${String(pid)}/cmdline`, 'utf8')
    return Number(parent) === process.pid && line.includes('worker-program.js')
  } catch {
    return false
  }
}

/** A worker may be gone by then. */
function kill(pid: number): void {
  if (isRunning(pid)) process.kill(pid, 'SIGKILL')
}

describe('stress() with workers', () => {
  it('makes `amount` requests, and reports the counts and distributions of all workers', async () => {
    const target = await httpTarget()
    const result = await resultOf({ target: target.url, amount: 100, workers: 3 })
    expect(result).toMatchObject({
      ended: 'amount',
      plan: { amount: 100 },
      requests: { planned: 100, answered: 100, failed: 0, byStatus: { 200: 100 } },
      connections: { opened: 100, failed: 0 },
      errors: [],
    })
    expect(result.workers.map(({ name, answered }) => [name, answered])).toEqual([
      ['worker 1', 34],
      ['worker 2', 33],
      ['worker 3', 33],
    ])
    for (const phase of ['handshake', 'firstByte', 'service', 'close'] as const)
      expect(result.phases[phase].count).toBe(100)
    expect(result.closes.closes.deliver + result.closes.closes.fin).toBe(100)
    expect(result.connections.mostOpen).toBeLessThanOrEqual(8)
    expect(result.series.at(-1)).toMatchObject({ stage: 'drain', connectionsOpen: 0, waiting: 0 })
    // One more request tested the target.
    expect(target).toMatchObject({ requests: 101, connections: 101 })
  })

  it('starts the requests of an open loop at the same times as one process', async () => {
    const { url } = await httpTarget()
    const result = await resultOf({
      target: url,
      ratePerSecond: 150,
      durationMs: 200,
      warmupMs: 50,
      snapshotMs: 50,
      workers: 3,
    })
    expect(result.requests.planned).toBe(30)
    expect(result.generator.lag.count).toBe(30)
    expect(result.seconds).toBeCloseTo(0.2, 9)
    const stages = new Set(result.series.map(({ stage }) => stage))
    expect([...stages]).toEqual(['warm-up', 'measure', 'drain'])
  })

  it('starts requests at random times', async () => {
    const { url } = await httpTarget()
    const options = { ratePerSecond: 500, arrivals: 'poisson', amount: 30 } as const
    const { requests, plan } = await resultOf({ target: url, ...options })
    expect(requests).toMatchObject({ planned: 30, answered: 30 })
    expect(plan).toMatchObject({ ratePerSecond: 500, arrivals: 'poisson' })
  })

  it('divides connectionsPerSecond between the workers', async () => {
    const { url } = await httpTarget()
    const options = { amount: 30, connectionsPerSecond: 200 }
    const { plan, seconds, connections } = await resultOf({ target: url, ...options })
    expect(plan.connectionsPerSecond).toBe(200)
    expect(connections.opened).toBe(30)
    // The last connection is opened after 145 ms, less 10 ms by which one turn may come early.
    expect(seconds).toBeGreaterThanOrEqual(0.135)
  })

  it('sends bytes over raw TCP, from several sources, with settings and a close', async () => {
    const linger = { enabled: true, seconds: 0 }
    const remotes = new Set<string | undefined>()
    const { target } = await tcpTarget((socket) => {
      remotes.add(socket.remoteAddress)
      socket.on('data', (data) => socket.write(data))
      socket.on('error', () => undefined)
    })
    const isLinux = process.platform === 'linux'
    const { requests, plan, closes } = await resultOf({
      target,
      amount: 40,
      send: new Uint8Array([0, 255, 10]),
      expect: new Uint8Array([0, 255, 10]),
      requestsPerConnection: 2,
      close: { mode: 'reset', deadlineMs: 1_000 },
      ...(isLinux
        ? { settings: { SO_LINGER: linger }, source: ['127.0.0.1', '127.0.0.2', '127.0.0.3'] }
        : {}),
    })
    expect(requests.answered).toBe(40)
    expect(plan.close).toBe('reset')
    expect(closes.closes.reset).toBeGreaterThanOrEqual(20)
    if (isLinux) expect(remotes.size).toBeGreaterThan(1)
  })

  it('measures targets over TLS', async () => {
    const { key, cert } = makeCertificate()
    const server = https.createServer({ key, cert }, (_request, response) => response.end('x'))
    server.on('connection', destroyLater)
    const port = await listen(server)
    const result = await resultOf({
      target: `https://localhost:${String(port)}/`,
      source: '127.0.0.1',
      ca: Buffer.from(cert),
      amount: 20,
      requestsPerConnection: 'keep-alive',
    })
    expect(result).toMatchObject({ requests: { answered: 20 }, errors: [] })
    expect(result.phases.tls.count).toBe(result.connections.opened)
  })

  it('reports the same error of several workers once', async () => {
    let count = 0
    const { target } = await tcpTarget((socket) => {
      // The first request tests the target.
      const answer = count++ === 0 ? 'yes' : 'no'
      socket.once('data', () => socket.end(answer))
    })
    const { errors, requests } = await resultOf({ target, send: 'x', expect: 3, amount: 12 })
    expect(requests).toMatchObject({ answered: 0, failed: 12 })
    expect(errors).toMatchObject([{ code: 'CLOSED_EARLY', phase: 'answer', count: 12 }])
  })

  linux('ends its workers', async () => {
    const { url } = await httpTarget()
    const run = stress({ target: url, workers: 2, amount: 20 })
    const seen = new Set<number>()
    for await (const { second } of run)
      if (second > 0) for (const pid of workerPids()) seen.add(pid)
    await run.result
    expect(workerPids()).toEqual([])
    await allGone([...seen])
  })

  it('fails before it starts a worker if the test of the target fails', async () => {
    const { target, server } = await tcpTarget(() => undefined)
    server.close()
    await once(server, 'close')
    const { result } = stress({ target: `http://${target}/`, workers: 2 })
    await expect(result).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      message: expect.stringContaining('cannot be measured') as string,
    })
    if (process.platform === 'linux') expect(workerPids()).toEqual([])
  })
})

describe('stress() with workers that is aborted', () => {
  itCanBeAborted(resultOf, 30)
})

describe('a worker that ends during a run', () => {
  linux(
    'ends the run, whose result has the measurements of the others and is not valid',
    async () => {
      let killed = 0
      const { url } = await httpTarget((_request, response) => {
        response.end()
        const [pid] = killed === 0 ? workerPids() : []
        if (pid === undefined) return
        killed = pid
        kill(pid)
      })
      const { result } = stress({ target: url, workers: 3, durationMs: 3_600_000 })
      const { ended, valid, limits, workers, requests, plan } = await result
      expect({ ended, valid }).toEqual({ ended: 'aborted', valid: false })
      expect(limits[0]?.code).toBe('worker')
      expect(limits[0]?.message).toMatch(/^Worker \d was lost after .* s: SIGKILL killed it\./)
      expect(workers).toHaveLength(2)
      expect(workers.reduce((sum, { answered }) => sum + answered, 0)).toBe(requests.answered)
      expect(plan.workers).toBe(3)
      expect(workerPids()).toEqual([])
    },
  )

  linux('makes the run fail with a code if no worker is left', async () => {
    const { url } = await httpTarget((_request, response) => {
      response.end()
      for (const pid of workerPids()) kill(pid)
    })
    const { result } = stress({ target: url, workers: 2, durationMs: 3_600_000 })
    await expect(result).rejects.toMatchObject({ code: 'ERR_SOCKET_TUNER_STRESS_WORKER' })
  })

  linux('is named as lost if it is stopped, also in a run of an amount only', async () => {
    let stopped: number | undefined
    const { url } = await httpTarget((_request, response) => {
      response.end()
      if (stopped !== undefined) return
      ;[stopped] = workerPids()
      if (stopped !== undefined) process.kill(stopped, 'SIGSTOP')
    })
    const options = checkStress({ target: url, workers: 2, connections: 8, amount: 40 })
    const target = await resolveTarget(options)
    const pool = new WorkerPool(2)
    const patience = { beatMs: 50, missing: 100 }
    const job = { options, target }
    const { part, limits, workers } = await measureInWorkers(job, pool, () => undefined, patience)
    await pool.stop()
    expect(limits[0]?.code).toBe('worker')
    expect(limits[0]?.message).toMatch(
      /^Worker \d was lost after .* s: it did not respond for 5 s; it was stopped \(SIGSTOP\)/,
    )
    expect(workers).toHaveLength(1)
    expect(part.requests).toMatchObject({ planned: 20, answered: 20 })
    expect(workerPids()).toEqual([])
  })

  it('makes the run fail with a code if it cannot be started', async () => {
    const { url } = await httpTarget()
    const program = `
      const { stress } = require(${JSON.stringify(ENTRY)})
      process.env.NODE_OPTIONS = '--require=/no/such/module'
      stress({ target: ${JSON.stringify(url)}, workers: 2 }).result.catch(({ code, message }) =>
        console.log(JSON.stringify({ code, message })))`
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', program])
    expect(JSON.parse(stdout)).toEqual({
      code: 'ERR_SOCKET_TUNER_STRESS_WORKER',
      message: 'worker 1 was lost before the run: it exited with code 1',
    })
  })
})

linux('workers end if the process of the run is killed', async () => {
  const { url } = await httpTarget()
  const cli = new Cli('stress', url, '--workers', '2', '--duration', '1h')
  await until(
    'the workers work',
    () => cli.processes(),
    (pids) => pids.length === 3,
  )
  cli.child.kill('SIGKILL')
  await cli.closed()
  await until(
    'the workers are gone',
    () => cli.processes(),
    (pids) => pids.length === 0,
  )
})

describe('several runs with workers', () => {
  linux('have the same workers if compare() makes them', async () => {
    const { url } = await httpTarget()
    const run = compare({
      target: url,
      ways: ['fin', 'keep-alive'],
      rounds: 2,
      durationMs: 50,
      workers: 2,
    })
    const pids = new Set<number>()
    for await (const { result } of run) {
      expect(result.workers).toHaveLength(2)
      for (const pid of workerPids()) pids.add(pid)
    }
    const { ways, ended } = await run.result
    expect(ended).toBe('complete')
    expect(ways.map(({ results }) => results.length)).toEqual([2, 2])
    expect(pids.size).toBe(2)
    expect(workerPids()).toEqual([])
  })

  linux('have the same workers if findRate() makes them', async () => {
    const { url } = await httpTarget()
    const options = { target: url, workers: 2, rounds: 3, durationMs: 50, warmupMs: 10 }
    const run = findRate(options, 'failed<1')
    const pids = new Set<number>()
    for await (const { result } of run) {
      expect(result.workers).toHaveLength(2)
      for (const pid of workerPids()) pids.add(pid)
    }
    expect((await run.result).rounds.length).toBeGreaterThan(0)
    expect(pids.size).toBe(2)
    expect(workerPids()).toEqual([])
  })
})

describe('the option workers', () => {
  it.each([
    ['0', { workers: 0 }, 'ERR_OUT_OF_RANGE', 'workers'],
    ['65', { workers: 65 }, 'ERR_OUT_OF_RANGE', 'workers'],
    ['a string', { workers: '2' }, 'ERR_INVALID_ARG_TYPE', 'workers'],
    ['greater than connections', { workers: 51 }, 'ERR_INVALID_ARG_VALUE', 'than connections (50)'],
    ['greater than amount', { workers: 5, amount: 4 }, 'ERR_INVALID_ARG_VALUE', 'than amount (4)'],
  ])('is refused if it is %s', (_what, options, code, message) => {
    expect(() => stress({ target: 'http://a/', ...options } as unknown as StressOptions)).toThrow(
      expect.objectContaining({
        code,
        message: expect.stringContaining(message) as string,
      }) as Error,
    )
  })
})

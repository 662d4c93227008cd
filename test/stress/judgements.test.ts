/** Judgements about a run: its limits, the findings before it, the conditions of --fail-if, and kernel counters. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LatencyHistogram, type StressPlan, type StressResult } from '../../lib/stress'
import { counterChanges, readCounters, type PortState } from '../../lib/stress/kernel-watch'
import { limitsOf, type Judged } from '../../lib/stress/limits'
import { descriptorLimit, findingsBefore } from '../../lib/stress/preflight'
import { parseThreshold } from '../../lib/stress/threshold'

function distribution(...samplesMs: readonly number[]): StressResult['latency'] {
  const histogram = new LatencyHistogram()
  for (const sample of samplesMs) histogram.record(sample)
  return histogram.distribution()
}

const docs = join(__dirname, '..', '..', 'docs', 'stress.md')

const none = distribution()

const plan: StressPlan = {
  loop: 'closed',
  connections: 50,
  ratePerSecond: null,
  arrivals: null,
  connectionsPerSecond: null,
  requestsPerConnection: 1,
  close: 'deliver',
  durationMs: 10_000,
  amount: null,
  warmupMs: 0,
  timeoutMs: 10_000,
  sources: [],
  workers: 1,
}

const open: StressPlan = { ...plan, loop: 'open', ratePerSecond: 1_000, arrivals: 'constant' }

const run: Judged = {
  plan,
  generator: {
    eventLoopBusy: 0.5,
    eventLoopDelayMs: { mean: 0, p99: 1, max: 2 },
    userCpu: 0.3,
    systemCpu: 0.2,
    lag: none,
  },
  latency: distribution(20, 20),
  phases: {
    queue: none,
    connectCall: none,
    handshake: none,
    handshakeRetried: none,
    portWait: none,
    tls: none,
    firstByte: none,
    service: none,
    close: none,
  },
  errors: [],
  requests: {
    planned: 2,
    answered: 2,
    failed: 0,
    unsent: 0,
    aborted: 0,
    perSecond: 1,
    bytesReceived: 0,
    byStatus: {},
  },
}

function codesOf(changes: Partial<Judged>): string[] {
  return limitsOf({ ...run, ...changes }).map(({ code }) => code)
}

function generator(changes: Partial<StressResult['generator']>): StressResult['generator'] {
  return { ...run.generator, ...changes }
}

function connectError(code: string): Judged['errors'] {
  return [{ code, phase: 'connect', count: 3, message: 'x' }]
}

describe('the limits of a run', () => {
  it('are empty if the generator was not busy', () => {
    expect(codesOf({})).toEqual([])
    expect(codesOf({ plan: open, generator: generator({ lag: distribution(0.1, 1.9) }) })).toEqual(
      [],
    )
  })

  it.each([
    ['a busy event loop', 'event-loop', { generator: generator({ eventLoopBusy: 0.98 }) }],
    [
      'delays of the event loop',
      'event-loop',
      { generator: generator({ eventLoopDelayMs: { mean: 2, p99: 11, max: 40 } }) },
    ],
    [
      'late starts',
      'late-sends',
      { plan: open, generator: generator({ lag: distribution(0.1, 5) }) },
    ],
    ['requests that were not sent', 'unsent', { requests: { ...run.requests, unsent: 1 } }],
    ['a lack of free ports', 'ports', { errors: connectError('EADDRNOTAVAIL') }],
    ['a lack of free descriptors', 'descriptors', { errors: connectError('EMFILE') }],
    ['a source that is gone', 'sources', { errors: connectError('SOURCE_UNAVAILABLE') }],
    [
      'a slow connect()',
      'slow-connect',
      { phases: { ...run.phases, connectCall: distribution(...Array<number>(100).fill(0.5)) } },
    ],
  ])('include %s', (_what, code, changes) => {
    expect(codesOf(changes)).toEqual([code])
  })

  it.each([
    ['errors of the target', { errors: connectError('ECONNREFUSED') }],
    [
      'a busy event loop in an open-loop run',
      { plan: open, generator: generator({ eventLoopBusy: 1 }) },
    ],
    [
      'late starts that are a small part of the latency',
      { plan: open, latency: distribution(100), generator: generator({ lag: distribution(5) }) },
    ],
    [
      'a few slow calls of connect()',
      { phases: { ...run.phases, connectCall: distribution(0.5) } },
    ],
  ])('do not include %s', (_what, changes) => {
    expect(codesOf(changes)).toEqual([])
  })
})

describe('the findings before a run', () => {
  const ports: PortState = {
    timeWait: 0,
    closing: 0,
    free: 28_232,
    ports: 28_232,
    sustainableRate: 470,
    heldSeconds: 60,
    secondsUntilExhaustion: null,
  }
  const facts = { plan, descriptors: 1_024, ports, timestamps: 1 }

  it('are empty if nothing will run out', () => {
    expect(findingsBefore(facts)).toEqual([])
    expect(
      findingsBefore({ plan, descriptors: undefined, ports: undefined, timestamps: undefined }),
    ).toEqual([])
  })

  it.each([
    ['descriptors', 'error', { connections: 1_000 }, /5\s*0|1,064 descriptors.* ulimit -n 1064/],
    [
      'ports',
      'error',
      { connections: 60_000, descriptors: 1e6 },
      /28,232 are free.*3 source addresses/,
    ],
    ['time-wait', 'warning', { close: 'fin' }, /more than 470 per second.*'deliver'/],
    [
      'time-wait',
      'error',
      { ...open, close: 'fin', durationMs: 120_000 },
      /1,000 connections per second the 28,232 free ports are used up after 28 s/,
    ],
  ])('include %s as an %s', (code, severity, changes, message) => {
    const { descriptors = facts.descriptors, ...planned } = changes as { descriptors?: number }
    const found = findingsBefore({ ...facts, descriptors, plan: { ...plan, ...planned } })
    expect(found).toMatchObject([{ code, severity }])
    expect(found[0]?.message).toMatch(message)
  })

  it('suggest waiting, not more source addresses, if the ports are only busy', () => {
    const [found] = findingsBefore({ ...facts, ports: { ...ports, free: 0 } })
    expect(found?.message).toMatch(/0 are free towards the target\. Wait until/)
  })

  it.each([
    ['the target closes', { close: 'server' }],
    ['connections are kept alive', { close: 'fin', requestsPerConnection: null }],
    ['the run is short', { ...open, close: 'fin', durationMs: 20_000 }],
    ['the rate is sustainable', { ...open, close: 'fin', ratePerSecond: 400, durationMs: 600_000 }],
    [
      'each connection has many requests',
      { ...open, close: 'fin', requestsPerConnection: 10, durationMs: 600_000 },
    ],
    ['few connections are opened per second', { close: 'fin', connectionsPerSecond: 470 }],
    [
      'few connections are opened per second for many requests',
      { ...open, close: 'fin', connectionsPerSecond: 400, durationMs: 600_000 },
    ],
    ['few connections are made', { close: 'fin', amount: 1_000 }],
  ])('do not include TIME_WAIT if %s', (_why, changes) => {
    expect(findingsBefore({ ...facts, plan: { ...plan, ...changes } })).toEqual([])
  })

  it('include disabled timestamps if the mode needs them', () => {
    const found = findingsBefore({ ...facts, timestamps: 0 })
    expect(found).toMatchObject([{ code: 'timestamps', severity: 'warning' }])
  })

  it('count the descriptors of each worker', () => {
    const shared = { ...facts, plan: { ...plan, connections: 3_000, workers: 4 } }
    expect(findingsBefore(shared)).toEqual([])
    const [finding] = findingsBefore({ ...shared, descriptors: 800 })
    expect(finding?.message).toMatch(/^750 connections need about 814 .* each worker may have 800/)
  })

  it('depend on the limit of descriptors in /proc/self/limits', () => {
    const limits =
      'Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files     \n'
    expect(descriptorLimit(() => limits)).toBe(1_024)
    expect(descriptorLimit(() => '')).toBeUndefined()
  })
})

describe('a condition', () => {
  const kernel = { timeWaitAfter: 12, counters: { RetransSegs: null } }
  const result = {
    ...run,
    kernel,
    valid: false,
    limits: [{ code: 'unsent', message: '' }],
    latency: distribution(10, 20, 30),
    requests: {
      ...run.requests,
      planned: 200,
      failed: 3,
      unsent: 1,
      perSecond: 500,
      byStatus: { 200: 5, 404: 2 },
    },
  } as unknown as StressResult

  it.each([
    ['max>29ms', 30],
    ['max > 0.029s', 30],
    ['max>30.1ms', undefined],
    ['p50>=19999us', 20],
    ['p50<20ms', undefined],
    ['p50<20.1ms', 20],
    ['rate<1000/s', 500],
    ['rate<=499', undefined],
    ['failed>0', 4],
    ['failed-share>=2%', 2],
    ['failed-share>2%', undefined],
    ['not-2xx>1', 2],
    ['time-wait>10', 12],
    // The counter is unknown.
    ['retransmits<1', undefined],
    ['invalid', 1],
  ])('%s is exceeded by %s', (text, value) => {
    const found = parseThreshold('--fail-if', text).exceededBy(result)
    if (value === undefined) expect(found).toBeUndefined()
    else expect(found).toBeCloseTo(value, 1)
  })

  it.each([
    ['max>1.4x', 1.5],
    ['max>1.6x', undefined],
    ['rate<0.9x', 0.5],
    ['failed-share>=1x', 1],
    // The baseline has 0.
    ['not-2xx>100x', Infinity],
    // The baseline does not know it.
    ['time-wait>0x', undefined],
  ])('%s, a ratio to a baseline, is exceeded by %s', (text, value) => {
    const baseline = {
      ...result,
      kernel: { ...kernel, timeWaitAfter: null },
      latency: distribution(10, 20),
      requests: { ...result.requests, perSecond: 1_000, byStatus: { 200: 7 } },
    } as unknown as StressResult
    const threshold = parseThreshold('--fail-if', text)
    expect(threshold.isRatio).toBe(true)
    expect(threshold.exceededBy(result)).toBeUndefined()
    const found = threshold.exceededBy(result, baseline)
    if (value === undefined) expect(found).toBeUndefined()
    else expect(found).toBeCloseTo(value, 2)
  })

  it.each([
    '',
    'p98>1ms',
    'invalid>1x',
    'p99>1xx',
    'p99>1',
    'p99>1%',
    'rate>1ms',
    'p99=1ms',
    'p99>',
    '>1ms',
    'valid',
    'toString>1',
    'p99>-1ms',
  ])('is refused as %j', (text) => {
    expect(() => parseThreshold('--fail-if', text)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }) as Error,
    )
  })

  it.each(
    [...readFileSync(docs, 'utf8').matchAll(/`'([\w.-]+[<>][^']*)'`/g)].map(
      ([, text = '']) => text,
    ),
  )('is accepted as docs/stress.md writes it: %s', (text) => {
    expect(parseThreshold('--fail-if', text).text).toBe(text)
  })
})

describe('the counters of the kernel', () => {
  const files: Readonly<Record<string, string>> = {
    '/proc/net/snmp':
      'Ip: Forwarding\nIp: 1\nTcp: RetransSegs OutRsts\nTcp: 5 7\nUdp: RetransSegs\nUdp: 9\n',
    '/proc/net/netstat': 'TcpExt: TW ListenDrops\nTcpExt: 11 2\n',
  }

  it('are read by name from both files', () => {
    expect(readCounters((file) => files[file] ?? '')).toEqual({
      RetransSegs: 5,
      OutRsts: 7,
      TW: 11,
      ListenDrops: 2,
    })
  })

  it('are null in a result if they could not be read', () => {
    expect(readCounters(() => '')).toEqual({})
    const changes = counterChanges({ TW: 3 }, { TW: 10, OutRsts: 4 })
    expect(changes).toMatchObject({ TW: 7, OutRsts: null, RetransSegs: null })
  })
})

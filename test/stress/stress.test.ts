import { once } from 'node:events'
import type * as http from 'node:http'
import * as net from 'node:net'
import { constants as os } from 'node:os'
import * as tls from 'node:tls'
import { native } from '../../lib/kernel/binding'
import { preflight, stress, type StressOptions } from '../../lib/stress'
import { makeCertificate, type Certificate } from '../helpers/certificate'
import { narrowRange, newSource } from '../helpers/full-ports'
import { destroyLater, listen, until } from '../sockets'
import { itCanBeAborted } from './abortion'
import { httpTarget, resultOf, tcpTarget } from './servers'
import { FOREIGN, OTHER_FOREIGN } from '../helpers/foreign-address'

const AMOUNT = 200

// These tests need TCP_INFO, /proc, or a close mode that only Linux has.
const linux = process.platform === 'linux' ? it : it.skip

describe('stress() in a closed loop', () => {
  it('makes `amount` requests, each on its own connection', async () => {
    const target = await httpTarget()
    const result = await resultOf({ target: target.url, amount: AMOUNT })
    expect(result).toMatchObject({
      schemaVersion: 1,
      ended: 'amount',
      target: { protocol: 'http', address: '127.0.0.1' },
      plan: { loop: 'closed', requestsPerConnection: 1, amount: AMOUNT, ratePerSecond: null },
      requests: { planned: AMOUNT, answered: AMOUNT, failed: 0, byStatus: { 200: AMOUNT } },
      connections: { opened: AMOUNT, failed: 0 },
      errors: [],
    })
    expect(result.connections.mostOpen).toBeLessThanOrEqual(8)
    expect(result.phases.handshake.count).toBe(AMOUNT)
    expect(result.phases.firstByte.count).toBe(AMOUNT)
    expect(result.phases.close.count).toBe(AMOUNT)
    // One more request tested the target.
    expect(target).toMatchObject({ requests: AMOUNT + 1, connections: AMOUNT + 1 })
  })

  it.each([
    ['keep-alive', 8],
    [5, AMOUNT / 5],
    [1_000, 8],
  ] as const)(
    'sends up to requestsPerConnection requests on a connection: %s',
    async (requestsPerConnection, most) => {
      const { url } = await httpTarget()
      const { connections, requests, closes } = await resultOf({
        target: url,
        amount: AMOUNT,
        requestsPerConnection,
      })
      expect(requests.answered).toBe(AMOUNT)
      // The run may end before the last connections have reached their maximum.
      expect(connections.opened).toBeGreaterThanOrEqual(Math.min(8, most))
      expect(connections.opened).toBeLessThanOrEqual(most + 8)
      expect(closes.closes.deliver + closes.closes.fin).toBe(connections.opened)
    },
  )

  linux.each(['fin', 'deliver', 'reset'] as const)(
    'closes its connections by %s and counts them so',
    async (close) => {
      const { url } = await httpTarget()
      const { closes } = await resultOf({ target: url, amount: AMOUNT, close })
      expect(closes.closes[close]).toBe(AMOUNT)
      expect(closes.timeWaitLeft).toBe(close === 'fin' ? AMOUNT : 0)
    },
  )

  it("lets the target close the connections if close is 'server'", async () => {
    const asked: (string | undefined)[] = []
    const { url } = await httpTarget((request, response) => {
      asked.push(request.headers.connection)
      response.end('hello')
    })
    const options = { target: url, amount: 40, requestsPerConnection: 2, connections: 1 } as const
    const { closes, errors } = await resultOf({ ...options, close: 'server' })
    expect(errors).toEqual([])
    expect(closes.timeWaitLeft).toBe(0)
    expect(closes.closes.fin).toBe(20)
    // The first request tested the target.
    const [tested, ...rest] = asked
    expect(tested).toBe('close')
    expect(rest).toEqual(Array.from({ length: 20 }, () => [undefined, 'close']).flat())
  })

  it('sends the method, the headers and the body', async () => {
    const seen: Pick<http.IncomingMessage, 'method' | 'url' | 'headers'>[] = []
    let received = 0
    const { url } = await httpTarget((request, response) => {
      const { method, headers } = request
      seen.push({ method, headers, url: request.url })
      request.on('data', (chunk: Buffer) => (received += chunk.length))
      request.on('end', () => response.writeHead(201).end())
    })
    const { requests } = await resultOf({
      target: `${url}path?query=1`,
      amount: 3,
      method: 'POST',
      headers: { 'X-Test': 'yes', Host: 'example.org' },
      body: 'body',
    })
    expect(requests.byStatus).toEqual({ 201: 3 })
    expect(received).toBe(4 * 'body'.length)
    expect(seen).toHaveLength(4)
    for (const each of seen)
      expect(each).toMatchObject({
        method: 'POST',
        url: '/path?query=1',
        headers: { 'x-test': 'yes', host: 'example.org', 'content-length': '4' },
      })
  })

  it('counts answers by status, and counts no status as an error', async () => {
    let count = 0
    const { url } = await httpTarget((_request, response) => {
      response.writeHead(count++ % 2 === 0 ? 200 : 503).end()
    })
    const { requests, errors } = await resultOf({ target: url, amount: 99 })
    expect(requests.byStatus).toEqual({ 200: 49, 503: 50 })
    expect(errors).toEqual([])
  })

  it('reads answers to HEAD and chunked answers, and reuses their connections', async () => {
    const { url } = await httpTarget((request, response) => {
      if (request.method === 'HEAD') response.setHeader('Content-Length', 1_000).end()
      else {
        response.write('one')
        response.end('two')
      }
    })
    for (const method of ['HEAD', 'GET']) {
      const { connections, errors } = await resultOf({
        target: url,
        amount: 50,
        connections: 1,
        method,
        requestsPerConnection: 'keep-alive',
      })
      expect(errors).toEqual([])
      expect(connections.opened).toBe(1)
    }
  })

  it('does not count the requests of the warm-up', async () => {
    const target = await httpTarget()
    const result = await resultOf({ target: target.url, warmupMs: 100, snapshotMs: 20, amount: 10 })
    expect(result.requests.planned).toBe(10)
    expect(target.requests).toBeGreaterThan(11)
    expect(result.series.some(({ stage }) => stage === 'warm-up')).toBe(true)
  })

  it('cuts its snapshots where the warm-up and the measured time end', async () => {
    const target = await httpTarget()
    // No snapshot is due before the end of the run.
    const times = { warmupMs: 50, durationMs: 60, snapshotMs: 60_000 }
    const { series, requests } = await resultOf({ target: target.url, ...times })
    expect(series.map(({ stage }) => stage)).toEqual(['warm-up', 'measure', 'drain'])
    const [warmup = NaN, ...others] = series.map(({ answered }) => answered)
    const rest = others.reduce((sum, each) => sum + each, 0)
    // Requests of the warm-up that are answered later are not in the result.
    expect(rest).toBeGreaterThanOrEqual(requests.answered)
    // One more request came before the load.
    expect(warmup + rest).toBe(target.requests - 1)
  })

  it('has no snapshot of a stage that an abortion left out', async () => {
    const { url } = await httpTarget()
    const times = { warmupMs: 60_000, snapshotMs: 60_000 }
    const { series } = await resultOf({ target: url, ...times, signal: AbortSignal.timeout(50) })
    const stages = series.map(({ stage }) => stage)
    // A signal that comes before the load leaves no warm-up either.
    expect(stages.slice(-1)).toEqual(['drain'])
    expect(stages).not.toContain('measure')
  })

  it('ends after durationMs, and yields snapshots whose answers add up to those of the result', async () => {
    const { url } = await httpTarget()
    const run = stress({ target: url, durationMs: 300, snapshotMs: 50, connections: 4 })
    let answered = 0
    for await (const snapshot of run) answered += snapshot.answered
    const { ended, requests, series, seconds } = await run.result
    // Not the time until the timer fired, which may be late.
    expect(seconds).toBeCloseTo(0.3, 9)
    expect(ended).toBe('duration')
    expect(requests.answered).toBeGreaterThan(0)
    expect(answered).toBe(requests.answered)
    expect(series.at(-1)).toMatchObject({ stage: 'drain', connectionsOpen: 0, waiting: 0 })
  })

  linux('counts calls of connect() and samples what the kernel knows', async () => {
    const { url } = await httpTarget()
    const { phases, kernel } = await resultOf({ target: url, amount: AMOUNT, close: 'fin' })
    expect(phases.connectCall.count).toBeGreaterThanOrEqual(AMOUNT)
    expect(kernel.sampledConnections).toBeGreaterThan(0)
    expect(kernel.minRttMs).toBeGreaterThan(0)
    expect(kernel.counters.RetransSegs).not.toBeNull()
    expect(kernel.timeWaitAfter).toBeGreaterThan(kernel.timeWaitBefore ?? Infinity)
  })

  linux('measures the wait for a port apart from the handshake', async () => {
    const { url } = await httpTarget()
    const { phases, kernel, requests, connections } = await resultOf({
      target: url,
      amount: AMOUNT,
      // More than there are ports.
      connections: 16,
      source: newSource(),
      portRange: narrowRange(),
      portWaitMs: 600_000,
      timeoutMs: 600_000,
    })
    expect(requests).toMatchObject({ answered: AMOUNT, failed: 0 })
    expect(phases.portWait.count).toBeGreaterThan(0)
    expect(phases.portWait.count).toBeLessThanOrEqual(kernel.portWaits)
    expect(phases.handshake.count + phases.handshakeRetried.count).toBe(connections.opened)
    // Each waited for the end of another connection, which is later than its answer.
    expect(phases.portWait.minMs).toBeGreaterThan(0)
  })
})

describe('stress() with connectionsPerSecond', () => {
  /** The shortest time that opening `count` connections may take, ms. One turn of 10 ms may come early. */
  const shortest = (count: number, perSecond: number): number =>
    (1000 * (count - 1)) / perSecond - 10

  it('opens no more connections than that, and includes the wait in the latency of a closed loop', async () => {
    const { url } = await httpTarget()
    const options = { target: url, amount: 20, connections: 8, connectionsPerSecond: 100 }
    const { plan, requests, connections, seconds, phases, latency } = await resultOf(options)
    expect(plan.connectionsPerSecond).toBe(100)
    expect(requests).toMatchObject({ planned: 20, answered: 20 })
    expect(connections.opened).toBe(20)
    expect(1000 * seconds).toBeGreaterThanOrEqual(shortest(20, 100))
    expect(phases.queue.maxMs).toBeGreaterThanOrEqual(shortest(8, 100))
    expect(latency.maxMs).toBeGreaterThanOrEqual(phases.queue.maxMs)
  })

  it('drops requests of a closed loop that still wait for a connection at the end', async () => {
    const { url } = await httpTarget()
    const options = { target: url, durationMs: 100, connectionsPerSecond: 2, snapshotMs: 10 }
    const { requests, series, errors } = await resultOf(options)
    expect(requests).toMatchObject({ unsent: 0, aborted: 0, planned: requests.answered })
    // All 8 wait for a connection from the start.
    expect(requests.planned).toBeLessThan(8)
    expect(Math.max(...series.map(({ waiting }) => waiting))).toBeGreaterThan(0)
    expect(series.at(-1)?.waiting).toBe(0)
    expect(errors).toEqual([])
  })

  it('delays the requests of an open loop', async () => {
    const { url } = await httpTarget()
    const options = { target: url, ratePerSecond: 1_000, amount: 20, connectionsPerSecond: 100 }
    const { requests, connections, phases } = await resultOf(options)
    expect(requests).toMatchObject({ planned: 20, answered: 20 })
    expect(connections.opened).toBe(20)
    // The last request was due after 19 ms.
    expect(phases.queue.maxMs).toBeGreaterThanOrEqual(shortest(20, 100) - 19)
  })

  it('sends waiting requests on connections that are kept alive', async () => {
    const { url } = await httpTarget()
    const { requests, connections } = await resultOf({
      target: url,
      ratePerSecond: 200,
      amount: 20,
      connectionsPerSecond: 1,
      requestsPerConnection: 'keep-alive',
    })
    expect(requests).toMatchObject({ planned: 20, answered: 20 })
    expect(connections.opened).toBeLessThan(20)
  })

  it('counts requests without a connection at the end as unsent', async () => {
    const { url } = await httpTarget()
    const { requests, limits } = await resultOf({
      target: url,
      ratePerSecond: 1_000,
      amount: 20,
      connectionsPerSecond: 5,
      timeoutMs: 2_000,
    })
    expect(requests.unsent).toBeGreaterThan(0)
    const unsent = limits.find(({ code }) => code === 'unsent')
    expect(unsent?.message).toContain('Raise connections or connectionsPerSecond')
  })
})

describe('stress() in an open loop', () => {
  it.each(['constant', 'poisson'] as const)(
    'starts requests at times that do not depend on the target: %s',
    async (arrivals) => {
      const { url } = await httpTarget()
      const options = { target: url, ratePerSecond: 200, arrivals, durationMs: 500 }
      const { plan, requests, generator } = await resultOf(options)
      expect(plan).toMatchObject({ loop: 'open', ratePerSecond: 200, arrivals })
      if (arrivals === 'constant') expect(requests.planned).toBe(100)
      expect(requests.answered).toBe(requests.planned)
      expect(generator.lag.count).toBe(requests.planned)
    },
  )

  it('measures latency from the intended start, also for requests that wait for a connection', async () => {
    const release: { answer?: () => void } = {}
    let count = 0
    const { url } = await httpTarget((_request, response) => {
      // The first request tests the target.
      if (++count === 2) release.answer = () => response.end()
      else response.end()
    })
    const run = stress({
      target: url,
      ratePerSecond: 100,
      amount: 60,
      connections: 1,
      requestsPerConnection: 'keep-alive',
      snapshotMs: 10,
    })
    for await (const { waiting } of run) if (waiting >= 20) release.answer?.()
    const { latency, phases, requests } = await run.result
    expect(requests.answered).toBe(60)
    // A request is due every 10 ms. When 20 of them wait, 10 have waited for at least 100 ms.
    expect(phases.queue.percentilesMs['p99.9']).toBeGreaterThanOrEqual(100)
    expect(samplesFrom(phases.queue, 100)).toBeGreaterThanOrEqual(10)
    expect(samplesFrom(latency, 100)).toBeGreaterThanOrEqual(10)
    expect(phases.service.count).toBe(60)
  })

  it('counts requests without a connection at the end as unsent', async () => {
    let count = 0
    const { url } = await httpTarget((_request, response) => {
      if (++count === 1) response.end()
    })
    const { requests, limits, valid, errors } = await resultOf({
      target: url,
      ratePerSecond: 200,
      amount: 20,
      connections: 2,
      timeoutMs: 2_000,
    })
    expect(requests.unsent).toBeGreaterThan(0)
    expect(requests.failed).toBeGreaterThanOrEqual(2)
    expect(errors[0]).toMatchObject({ code: 'ANSWER_TIMEOUT', phase: 'answer' })
    expect(valid).toBe(false)
    expect(limits.map(({ code }) => code)).toContain('unsent')
  })
})

describe('stress() on raw TCP', () => {
  it('opens and closes connections if there is nothing to send', async () => {
    const { target, seen } = await tcpTarget((socket) => socket.resume())
    const { requests, target: info } = await resultOf({ target, amount: 50 })
    expect(info.protocol).toBe('tcp')
    expect(requests).toMatchObject({ answered: 50, byStatus: {} })
    // The server may accept connections after their client has closed them.
    await until(() => seen.connections === 51)
  })

  it.each([
    ['any bytes', undefined],
    ['a number of bytes', 8],
    ['certain bytes', 'pingpong'],
  ])('sends bytes and expects %s', async (_what, expect_) => {
    const { target } = await tcpTarget((socket) => {
      socket.on('data', (data) => socket.write(data))
    })
    const { requests, connections, errors } = await resultOf({
      target: `tcp://${target}`,
      amount: 50,
      send: 'pingpong',
      requestsPerConnection: 10,
      connections: 1,
      ...(expect_ === undefined ? {} : { expect: expect_ }),
    })
    expect(errors).toEqual([])
    expect(requests.answered).toBe(50)
    expect(connections.opened).toBe(5)
  })

  it('counts unexpected answers as failed requests', async () => {
    let count = 0
    const { target } = await tcpTarget((socket) => {
      socket.on('data', () => socket.write(count++ === 0 ? 'right' : 'wrong'))
    })
    const { requests, errors } = await resultOf({ target, amount: 5, send: '?', expect: 'right' })
    expect(requests.failed).toBe(5)
    expect(errors).toEqual([
      { code: 'BAD_ANSWER', phase: 'answer', count: 5, message: 'not the bytes of expect' },
    ])
  })
})

describe('stress() with a target that fails in the middle', () => {
  it.each([
    [
      'ends connections without an answer',
      'CLOSED_EARLY',
      (r: http.ServerResponse) => r.socket?.end(),
    ],
    ['resets connections', 'ECONNRESET', (r: http.ServerResponse) => r.socket?.resetAndDestroy()],
    ['answers no HTTP', 'BAD_ANSWER', (r: http.ServerResponse) => r.socket?.write('garbage')],
    ['does not answer', 'ANSWER_TIMEOUT', () => undefined],
  ])('counts each failed request if the target %s', async (_what, code, fail) => {
    let count = 0
    const { url } = await httpTarget((_request, response) => {
      if (count++ < 5) response.end()
      else fail(response)
    })
    const { requests, errors } = await resultOf({ target: url, amount: 12, timeoutMs: 5_000 })
    expect(requests).toMatchObject({ answered: 4, failed: 8 })
    expect(errors).toMatchObject([{ code, phase: 'answer', count: 8 }])
  })

  it('keeps the results of the time before a target dies', async () => {
    const { target, server } = await tcpTarget((socket) => {
      socket.on('data', () => socket.write('x'))
      if (++accepted === 30) server.close()
    })
    let accepted = 0
    const { requests, errors, connections } = await resultOf({ target, amount: 60, send: '?' })
    expect(requests.answered).toBeGreaterThanOrEqual(20)
    expect(requests.failed).toBeGreaterThan(0)
    expect(
      errors.every(({ code }) => ['ECONNREFUSED', 'ECONNRESET', 'CLOSED_EARLY'].includes(code)),
    ).toBe(true)
    expect(connections.failed).toBeGreaterThan(0)
  })

  it('does not count the end of an idle connection as an error', async () => {
    const { target } = await tcpTarget((socket) => {
      socket.on('data', () => socket.end('x'))
    })
    const { requests, errors, connections } = await resultOf({
      target,
      amount: 30,
      send: '?',
      requestsPerConnection: 'keep-alive',
      ratePerSecond: 100,
    })
    // A request may be lost because the server closes its connection at the same time.
    expect(errors.every(({ code }) => ['CLOSED_EARLY', 'ECONNRESET', 'EPIPE'].includes(code))).toBe(
      true,
    )
    expect(connections.endedByTarget).toBeGreaterThan(0)
    expect(connections.endedByTarget).toBeLessThanOrEqual(requests.answered)
  })
})

describe('stress() with several source addresses', () => {
  linux('rejects before its load if one of them is not of this host', async () => {
    const seen = await httpTarget()
    const { url } = seen
    const source = ['127.0.0.1', FOREIGN, '127.0.0.2', OTHER_FOREIGN]
    for (const promise of [
      stress({ target: url, source }).result,
      preflight({ target: url, source }),
    ])
      await expect(promise).rejects.toMatchObject({
        code: 'EADDRNOTAVAIL',
        syscall: 'bind',
        address: FOREIGN,
        message: expect.stringMatching(
          `from ${FOREIGN}: .* is not an address of this host. The same is true of ${OTHER_FOREIGN}$`,
        ) as string,
      })
    expect(seen.connections).toBe(0)
  })

  linux('accepts an address that the settings allow', async () => {
    const { url } = await httpTarget()
    const settings = { IP_FREEBIND: true }
    const findings = await preflight({ target: url, source: ['127.0.0.1', FOREIGN], settings })
    expect(findings).toEqual([])
  })

  linux.each([
    ['polled descriptors', 0],
    ['sockets', 1],
  ])('goes on with the others if one of them fails, of %s', async (_kind, portWaitMs) => {
    const AMOUNT_BEFORE = 5
    const target = await httpTarget()
    const bindFd = native.bindFd.bind(native)
    const isGone = (address: string): boolean =>
      address === '127.0.0.2' && target.connections > AMOUNT_BEFORE
    const spy = jest
      .spyOn(native, 'bindFd')
      .mockImplementation((fd, address, port) =>
        isGone(address) ? -os.errno.EADDRNOTAVAIL : bindFd(fd, address, port),
      )
    const { requests, errors, limits, valid } = await resultOf({
      target: target.url,
      amount: 100,
      source: ['127.0.0.2', '127.0.0.3'],
      portWaitMs,
    })
    spy.mockRestore()
    // Those from the first address fail. They are tried again from time to time.
    expect(requests.answered).toBeGreaterThan(4 * AMOUNT_BEFORE)
    expect(requests.failed).toBeGreaterThan(0)
    expect(errors).toMatchObject([
      { code: 'SOURCE_UNAVAILABLE', phase: 'connect', count: requests.failed },
    ])
    expect(valid).toBe(false)
    expect(limits.map(({ code }) => code)).toContain('sources')
  })
})

describe('stress() with closes that wait for the target', () => {
  const CLOSES = 20
  const kinds = [
    ['polled descriptors', 0],
    ['sockets', 1],
  ] as const

  /** Answers, and calls `sawEnd` when a client has finished. Does not finish itself. */
  async function patientTarget(sawEnd: (ends: net.Socket[]) => void): Promise<string> {
    const ends: net.Socket[] = []
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      destroyLater(socket)
      socket.on('data', () => socket.write('x'))
      socket.on('error', () => undefined)
      socket.on('end', () => {
        ends.push(socket)
        sawEnd(ends)
      })
    })
    return `127.0.0.1:${String(await listen(server))}`
  }

  linux.each(kinds)('waits at its end for closes that linger, of %s', async (_kind, portWaitMs) => {
    const target = await patientTarget((ends) => {
      // The first one is that of the test of the target.
      if (ends.length === CLOSES + 1) for (const socket of ends) socket.end()
    })
    const options = { target, send: '?', amount: CLOSES, close: 'lingering', portWaitMs } as const
    const { closes } = await resultOf(options)
    expect(closes).toMatchObject({
      closes: { lingering: CLOSES },
      timeWaitLeft: CLOSES,
      underWay: 0,
    })
  })

  linux.each(kinds)(
    'reports closes that still linger after timeoutMs as under way, of %s',
    async (_kind, portWaitMs) => {
      const target = await patientTarget(() => undefined)
      const options = { target, send: '?', amount: CLOSES, portWaitMs, timeoutMs: 1_000 }
      const { closes, generator } = await resultOf({
        ...options,
        close: { mode: 'lingering', idleMs: 600_000, deadlineMs: 600_000 },
      })
      expect(closes).toMatchObject({ timeWaitLeft: 0, discardedBytes: 0 })
      expect(closes.underWay).toBeGreaterThan(0)
      expect(closes.closes.lingering + closes.underWay).toBe(CLOSES)
      expect(generator.eventLoopBusy).toBeGreaterThan(0)
    },
  )

  linux.each(kinds)('does not wait for them if it is aborted, of %s', async (_kind, portWaitMs) => {
    const abort = new AbortController()
    const target = await patientTarget((ends) => {
      if (ends.length === CLOSES + 1) abort.abort()
    })
    const { closes, ended } = await resultOf({
      target,
      send: '?',
      ratePerSecond: 1_000,
      amount: CLOSES,
      timeoutMs: 600_000,
      portWaitMs,
      close: { mode: 'lingering', idleMs: 600_000, deadlineMs: 600_000 },
      signal: abort.signal,
    })
    expect(ended).toBe('amount')
    expect(closes).toMatchObject({ closes: { lingering: 0 }, underWay: CLOSES })
  })
})

describe('stress() that is aborted', () => {
  itCanBeAborted(resultOf, 20)
})

describe('stress() with a target that cannot be measured', () => {
  async function failureOf(options: StressOptions): Promise<NodeJS.ErrnoException> {
    const run = stress({ timeoutMs: 3_000, ...options })
    const [result, iteration] = await Promise.allSettled([
      run.result,
      (async () => {
        for await (const snapshot of run) throw new Error(`a snapshot: ${JSON.stringify(snapshot)}`)
      })(),
    ])
    expect(iteration).toEqual(result)
    if (result.status === 'fulfilled') throw new Error('It was measured')
    return result.reason as NodeJS.ErrnoException
  }

  const UNUSABLE = 'ERR_SOCKET_TUNER_STRESS_TARGET'

  it('rejects with ECONNREFUSED if nothing listens', async () => {
    const { target, server } = await tcpTarget(() => undefined)
    server.close()
    await once(server, 'close')
    const error = await failureOf({ target: `http://${target}/` })
    expect(error).toMatchObject({ code: 'ECONNREFUSED', address: '127.0.0.1' })
    expect(error.message).toMatch(/cannot be measured: it refuses connections.* Start the server/)
  })

  it.each([
    ['ends the connection', UNUSABLE, 'ended the connection without an answer', 'end'],
    ['resets the connection', 'ECONNRESET', 'it resets the connection', 'reset'],
    ['is silent', UNUSABLE, 'no answer after 3000 ms', ''],
    ['answers no HTTP', UNUSABLE, 'its answer is not HTTP/1.1 (no status line', 'SSH-2.0-x\r\n'],
    [
      'sends half an answer',
      UNUSABLE,
      'the answer is not complete',
      'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1',
    ],
    [
      'sends too much',
      UNUSABLE,
      'bytes after the end',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n123',
    ],
  ])('rejects if the target %s', async (_what, code, message, act) => {
    const { target } = await tcpTarget((socket) => {
      socket.on('data', () => {
        if (act === 'reset') socket.resetAndDestroy()
        else if (act === 'end') socket.end()
        else if (act !== '') socket.write(act)
      })
    })
    const error = await failureOf({ target: `http://${target}/` })
    expect(error.code).toBe(code)
    expect(error.message).toContain(message)
  })

  it("rejects if close is 'server' and the target does not close after its answer", async () => {
    const { target } = await tcpTarget((socket) => {
      socket.on('data', () => socket.write('HTTP/1.1 204 No Content\r\n\r\n'))
    })
    const error = await failureOf({ target: `http://${target}/`, close: 'server' })
    expect(error).toMatchObject({ code: UNUSABLE })
    expect(error.message).toContain('has not closed after 3000 ms')
  })

  it('rejects if an https target speaks no TLS', async () => {
    const { url } = await httpTarget()
    const error = await failureOf({ target: url.replace('http', 'https') })
    expect(error.code).toMatch(/^ERR_SSL_/)
    expect(error.message).toMatch(
      /cannot be measured: it does not speak TLS \(TLS: [\w ]+\)\. Check that it is not an http/,
    )
  })
})

describe('stress() over TLS', () => {
  let certificate: Certificate

  beforeAll(() => {
    certificate = makeCertificate()
  })

  /** A server that speaks these protocols, and the protocols of its connections. */
  async function tlsTarget(
    ...ALPNProtocols: string[]
  ): Promise<{ port: number; chosen: (string | false | null)[] }> {
    const chosen: (string | false | null)[] = []
    const protocols = ALPNProtocols.length === 0 ? {} : { ALPNProtocols }
    const server = tls.createServer({ ...certificate, ...protocols }, (socket) => {
      chosen.push(socket.alpnProtocol)
      destroyLater(socket)
      socket.on('error', () => undefined)
      socket.on('data', () => socket.write('HTTP/1.1 204 No Content\r\n\r\n'))
    })
    return { port: await listen(server), chosen }
  }

  const few = { amount: 2, connections: 1, rejectUnauthorized: false }

  it.each<[string, StressOptions['alpnProtocols'], string | false]>([
    ['https', undefined, 'http/1.1'],
    ['https', [], false],
    ['https', ['x', 'http/1.1'], 'http/1.1'],
    ['tls', undefined, false],
    ['tls', ['http/1.1'], 'http/1.1'],
    ['tls', ['x', 'h2'], 'h2'],
  ])(
    'offers an %s target with alpnProtocols %j, of which it chooses %j',
    async (scheme, alpn, expected) => {
      const { port, chosen } = await tlsTarget('h2', 'http/1.1')
      const { requests } = await resultOf({
        ...few,
        target: `${scheme}://127.0.0.1:${String(port)}`,
        ...(scheme === 'tls' ? { send: 'x' } : {}),
        ...(alpn === undefined ? {} : { alpnProtocols: alpn }),
      })
      expect(requests.answered).toBe(2)
      expect(chosen).toEqual([expected, expected, expected])
    },
  )

  it.each([
    [
      'chooses another protocol than HTTP/1.1',
      ['h2', 'http/1.1'],
      { code: 'ERR_SOCKET_TUNER_STRESS_TARGET' },
      /the target chose 'h2' of the protocols that it was offered.* Offer it http\/1\.1 only/,
    ],
    [
      'speaks none of the protocols',
      ['x'],
      { code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL' },
      /It speaks none of the protocols that it was offered/,
    ],
  ])('rejects if an https target %s', async (_what, alpnProtocols, expected, message) => {
    const { port } = await tlsTarget('h2')
    const target = `https://127.0.0.1:${String(port)}/`
    const failure: unknown = await stress({ ...few, target, alpnProtocols }).result.catch(
      (error: unknown) => error,
    )
    expect(failure).toMatchObject(expected)
    expect((failure as Error).message).toMatch(message)
  })

  it.each<[string, { servername?: string; ca?: true }, string, string]>([
    ['trusts no authority', {}, 'DEPTH_ZERO_SELF_SIGNED_CERT', 'Trust its authority (ca, --ca)'],
    [
      'expects another name',
      { ca: true, servername: 'other.example' },
      'ERR_TLS_CERT_ALTNAME_INVALID',
      'Use a name that its certificate has (servername, --servername)',
    ],
  ])('rejects with the fix if it %s', async (_what, { ca, ...options }, code, message) => {
    const { port } = await tlsTarget()
    const failure: unknown = await stress({
      target: `https://127.0.0.1:${String(port)}/`,
      ...(ca === true ? { ca: certificate.cert } : {}),
      ...options,
    }).result.catch((error: unknown) => error)
    expect(failure).toMatchObject({ code })
    expect((failure as Error).message).toContain(message)
    expect((failure as Error).message).not.toContain('\n')
  })
})

describe('the options of stress()', () => {
  it.each([
    ['no target', {}, 'ERR_INVALID_ARG_TYPE'],
    ['an unknown scheme', { target: 'ftp://a/' }, 'ERR_INVALID_ARG_VALUE'],
    ['no port', { target: 'localhost' }, 'ERR_INVALID_ARG_VALUE'],
    ['port 0', { target: 'http://localhost:0/' }, 'ERR_INVALID_ARG_VALUE'],
    ['a path with raw TCP', { target: 'tcp://localhost:1/x' }, 'ERR_INVALID_ARG_VALUE'],
    ['a password', { target: 'http://a:b@localhost/' }, 'ERR_INVALID_ARG_VALUE'],
    ['send with http', { target: 'http://a/', send: 'x' }, 'ERR_INVALID_ARG_VALUE'],
    ['a body with raw TCP', { target: 'a:1', body: 'x' }, 'ERR_INVALID_ARG_VALUE'],
    ['expect without send', { target: 'a:1', expect: 1 }, 'ERR_INVALID_ARG_VALUE'],
    ['arrivals without a rate', { target: 'a:1', arrivals: 'poisson' }, 'ERR_INVALID_ARG_VALUE'],
    ['ca without TLS', { target: 'http://a/', ca: 'x' }, 'ERR_INVALID_ARG_VALUE'],
    ['ALPN without TLS', { target: 'http://a/', alpnProtocols: [] }, 'ERR_INVALID_ARG_VALUE'],
    ['an empty protocol', { target: 'https://a/', alpnProtocols: [''] }, 'ERR_INVALID_ARG_VALUE'],
    [
      'a protocol that is too long',
      { target: 'https://a/', alpnProtocols: ['x'.repeat(256)] },
      'ERR_INVALID_ARG_VALUE',
    ],
    ['a protocol by number', { target: 'https://a/', alpnProtocols: [1] }, 'ERR_INVALID_ARG_TYPE'],
    ['CONNECT', { target: 'http://a/', method: 'CONNECT' }, 'ERR_INVALID_ARG_VALUE'],
    [
      'a header that determines the framing',
      { target: 'http://a/', headers: { 'Content-Length': '1' } },
      'ERR_INVALID_ARG_VALUE',
    ],
    ['an invalid header', { target: 'http://a/', headers: { a: 'b\r\nc: d' } }, 'ERR_INVALID_CHAR'],
    ['a rate of 0', { target: 'http://a/', ratePerSecond: 0 }, 'ERR_OUT_OF_RANGE'],
    ['a rate of NaN', { target: 'http://a/', ratePerSecond: NaN }, 'ERR_OUT_OF_RANGE'],
    [
      'a source of another family',
      { target: 'http://127.0.0.1/', source: ['::1'] },
      'ERR_SOCKET_TUNER_ADDRESS_FAMILY',
    ],
    ['an unknown mode', { target: 'http://a/', close: 'finn' }, 'ERR_INVALID_ARG_VALUE'],
    [
      'keep-alive connections that the server closes',
      { target: 'http://a/', close: 'server', requestsPerConnection: 'keep-alive' },
      'ERR_INVALID_ARG_VALUE',
    ],
  ] as const)('refuse %s', (_what, options, code) => {
    expect(() => stress(options as unknown as StressOptions)).toThrow(
      expect.objectContaining({ code }) as Error,
    )
  })
})

/** Counts the samples of at least `ms`. */
function samplesFrom({ buckets }: { buckets: readonly number[] }, ms: number): number {
  let count = 0
  for (let at = 0; at < buckets.length; at += 2) {
    const index = buckets[at] ?? 0
    // docs/stress.md describes the buckets.
    const shift = Math.max(0, Math.floor(index / 1024) - 1)
    const lowest = (index - shift * 1024) * 2 ** shift
    if (lowest >= ms * 1e6) count += buckets[at + 1] ?? 0
  }
  return count
}

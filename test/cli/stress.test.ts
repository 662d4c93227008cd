/** The command `stress`, run as users run it. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import * as http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FindRateResult, StressComparison, StressResult } from '../../lib/stress'
import { stressOptions } from '../../lib/stress/options'
import { stressArguments, stressFlagNames, stressFlags } from '../../lib/cli/stress-flags'
import { searchReport } from '../../lib/cli/stress-search'
import { UNKNOWN_HOST } from '../helpers/unknown-host'
import { closeLater, failureOf, listen } from '../sockets'
import { dataIn, resultWith } from '../stress/report-results'
import { Cli, print, run } from './run-cli'

async function target(
  answer: http.RequestListener = (_request, response) => response.end('x'),
): Promise<string> {
  const server = http.createServer(answer)
  const port = await listen(server)
  closeLater(() => {
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${String(port)}/`
}

describe('socket-tuner stress', () => {
  it('measures a target and prints tables and a verdict', async () => {
    const url = await target()
    const args = ['--amount', '100', '--connections', '4', '--connection-rate', '5000/s']
    const { code, stdout } = await run('stress', url, ...args)
    expect(code).toBe(0)
    expect(stdout).toContain(`${url} (127.0.0.1 port `)
    expect(stdout).toMatch(
      /4 connections\s+at\s+a\s+time,\s+at\s+most\s+5000\s+opened\s+per\s+second/,
    )
    expect(stdout).toContain('100 requests answered')
    expect(stdout).toContain('status: 200: 100')
    expect(stdout).toMatch(/^latency \(closed loop\) +[\d.]+ [mµ]?s/m)
    expect(stdout).toMatch(/^closes: 100 by deliver; 0 TIME_WAIT entries left here/m)
    expect(stdout).toMatch(/^(VALID|INVALID): /m)
  })

  it('prints only the result, as JSON, with --json', async () => {
    const url = await target()
    const { code, stdout } = await run('stress', url, '--amount', '10', '--json')
    const result = JSON.parse(stdout) as StressResult
    expect(code).toBe(0)
    expect(result).toMatchObject({ schemaVersion: 1, requests: { answered: 10 } })
  })

  it('starts its own server if there is no target, and ends it', async () => {
    const cli = new Cli('stress', '--amount', '20')
    const { code, stdout } = await cli.closed()
    expect(code).toBe(0)
    expect(stdout).toContain('20 requests answered')
    expect(cli.processes()).toEqual([])
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    'prints the results so far when %s ends it, with exit code %i',
    async (signal, expected) => {
      let count = 0
      const reached: (() => void)[] = []
      const url = await target((_request, response) => {
        if (++count === 50) for (const tell of reached) tell()
        response.end()
      })
      const cli = new Cli('stress', url, '--duration', '1h')
      await new Promise<void>((resolve) => reached.push(resolve))
      cli.child.kill(signal)
      const { code, stdout } = await cli.closed()
      expect(code).toBe(expected)
      expect(stdout).toContain(', then aborted: ')
    },
  )

  it('exits with code 3 for a condition of --fail-if that is true, and names it', async () => {
    const url = await target()
    const args = ['stress', url, '--amount', '10', '--fail-if', 'failed>0', '--fail-if']
    expect(await run(...args, 'not-2xx>0')).toMatchObject({ code: 0 })
    const { code, stderr } = await run(...args, 'p50>0us')
    expect(code).toBe(3)
    expect(stderr).toMatch(/^--fail-if p50>0us: it is [\d.]+us\n$/)
  })

  it('exits with code 3 for a figure of --fail-if that the run does not have', async () => {
    let isProbe = true
    const url = await target((_request, response) => {
      if (isProbe) response.end()
      else response.destroy()
      isProbe = false
    })
    const args = ['stress', url, '--duration', '100ms', '--fail-if', 'p99>1s']
    const { code, stdout, stderr } = await run(...args)
    expect(stdout).toMatch(/^latency \(closed loop\)( +n\/a){6} +0$/m)
    expect(stderr).toMatch(/^--fail-if p99>1s: it is not known\n$/)
    expect(code).toBe(3)
  })

  describe('with --report', () => {
    const folder = mkdtempSync(join(tmpdir(), 'stress-'))
    const file = join(folder, 'report.html')

    afterAll(() => {
      rmSync(folder, { recursive: true })
    })

    it('writes the result as an HTML file', async () => {
      const url = await target()
      const { code } = await run('stress', url, '--amount', '10', '--report', file)
      expect(code).toBe(0)
      expect(readFileSync(file, 'utf8')).toMatch(/^<!doctype html>[^]*"schemaVersion":1/i)
    })

    it('writes a comparison as an HTML file', async () => {
      const url = await target()
      const args = ['--compare', 'fin,reset', '--rounds', '2', '--duration', '50ms', '--json']
      const { code, stdout } = await run('stress', url, ...args, '--report', file)
      expect(code).toBe(0)
      expect(dataIn(readFileSync(file, 'utf8'), 'result')).toEqual(JSON.parse(stdout))
    })

    it('refuses, before it sends anything, a path that cannot be written', async () => {
      let requests = 0
      const url = await target((_request, response) => {
        requests++
        response.end()
      })
      const ended = await run('stress', url, '--report', join(folder, 'no', 'report.html'))
      expect(ended).toMatchObject({ code: 1, stdout: '' })
      expect(ended.stderr).toMatch(/^socket-tuner: --report '.*' cannot be written: ENOENT/)
      expect(requests).toBe(0)
    })

    it('keeps an earlier report, and leaves no empty one, if the target cannot be measured', async () => {
      writeFileSync(file, 'earlier')
      const other = join(folder, 'other.html')
      for (const path of [file, other])
        expect((await run('stress', 'http://127.0.0.1:1/', '--report', path)).code).toBe(1)
      expect(readFileSync(file, 'utf8')).toBe('earlier')
      expect(existsSync(other)).toBe(false)
    })
  })

  describe('with --baseline', () => {
    const folder = mkdtempSync(join(tmpdir(), 'stress-'))
    const file = join(folder, 'run.json')
    const args = ['--amount', '10', '--connections', '2'] as const

    afterAll(() => {
      rmSync(folder, { recursive: true })
    })

    it('prints ratios to the earlier run, as a table and in the JSON', async () => {
      const url = await target()
      const { stdout: earlier } = await run('stress', url, ...args, '--json')
      writeFileSync(file, earlier)
      const { code, stdout } = await run('stress', url, ...args, '--baseline', file)
      expect(code).toBe(0)
      const { startedAt } = JSON.parse(earlier) as StressResult
      expect(stdout).toMatch(/^ +baseline +this run +ratio$/m)
      expect(stdout).toMatch(/^rate +[\d,]+\/s +[\d,]+\/s +\d+\.\d\d$/m)
      expect(stdout).toMatch(/^failed-share +0\.00 % +0\.00 % +1\.00$/m)
      expect(stdout).toContain(`The baseline is the run of ${startedAt}.`)
      const asJson = await run('stress', url, ...args, '--baseline', file, '--json')
      const { requests, baseline } = JSON.parse(asJson.stdout) as StressResult
      expect(baseline?.startedAt).toBe(startedAt)
      expect(baseline?.figures[0]).toMatchObject({ name: 'rate', now: requests.perSecond })
    })

    it('exits with code 3 for a ratio of --fail-if that is true, and names it', async () => {
      const url = await target()
      writeFileSync(file, (await run('stress', url, ...args, '--json')).stdout)
      const compared = ['stress', url, ...args, '--baseline', file, '--fail-if']
      expect(await run(...compared, 'failed-share>1.5x')).toMatchObject({ code: 0, stderr: '' })
      const { code, stderr } = await run(...compared, 'rate>0x')
      expect(code).toBe(3)
      expect(stderr).toMatch(/^--fail-if rate>0x: it is [\d.]+x\n$/)
    })

    it.each([
      ['is not JSON', '-----BEGIN', "'--baseline' must be JSON. Received '/"],
      ['is empty', '', 'must be JSON, but is empty'],
      ['is not a result', '{}', 'must be the result of a run'],
      ['has another schemaVersion', '{"schemaVersion":2}', 'must have the schemaVersion 1'],
      [
        'has another plan',
        JSON.stringify(resultWith()),
        'it has connections 8 instead of 2, close fin instead of deliver',
      ],
    ])('refuses, before it sends anything, a file that %s', async (_what, text, message) => {
      let requests = 0
      const url = await target((_request, response) => {
        requests++
        response.end()
      })
      writeFileSync(file, text)
      const { code, stdout, stderr } = await run('stress', url, ...args, '--baseline', file)
      expect({ code, stdout, requests }).toEqual({ code: 2, stdout: '', requests: 0 })
      expect(stderr).toContain(message)
    })
  })

  describe('with --find-rate', () => {
    it('prints its rounds, and either the rate or the reason why there is none', async () => {
      const args = ['--rate', '50', '--rounds', '2', '--duration', '60ms', '--warmup', '10ms']
      const url = await target()
      const { code, stdout } = await run('stress', url, '--find-rate', 'failed<=0', ...args)
      for (const round of [1, 2])
        expect(stdout).toMatch(
          new RegExp(`^ +${String(round)} +\\d+/s .* (holds|fails: generator)$`, 'm'),
        )
      if (code === 0) expect(stdout).toMatch(/^failed<=0 held at (50|100)\/s, in 2 rounds\.$/m)
      else expect(stdout).toContain('failed<=0 held at no rate that was tried.')
      // Other programs on this machine may limit the generator.
      expect(code).toBe(/ holds$/m.test(stdout) ? 0 : 3)
    })

    it('prints JSON with --json, and exits with code 3 if no rate holds', async () => {
      const url = await target((_request, response) => response.writeHead(500).end())
      const args = ['--rounds', '1', '--duration', '60ms', '--json']
      const { code, stdout } = await run('stress', url, '--find-rate', 'not-2xx<1', ...args)
      const { ratePerSecond, limit, rounds } = JSON.parse(stdout) as FindRateResult
      expect({ code, ratePerSecond, rounds: rounds.length }).toEqual({
        code: 3,
        ratePerSecond: null,
        rounds: 1,
      })
      expect(limit?.cause).toBe(rounds[0]?.failure?.cause)
    })
  })

  it('shares the load among --workers, and says so', async () => {
    const args = ['--amount', '30', '--workers', '2', '--rate', '200'] as const
    const { code, stdout } = await run('stress', await target(), ...args)
    expect(code).toBe(0)
    expect(stdout).toContain('30 requests answered')
    expect(stdout).toMatch(/^generator: 2 processes, with the worst figures of one: event loop/m)
  })

  describe('merge', () => {
    const folder = mkdtempSync(join(tmpdir(), 'stress-'))
    const fileOf = (name: string, content: unknown): string => {
      const file = join(folder, name)
      writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
      return file
    }
    const one = fileOf('one.json', resultWith())
    const other = fileOf(
      'other.json',
      resultWith({ valid: false, limits: [{ code: 'ports', message: 'None.' }] }),
    )

    afterAll(() => {
      rmSync(folder, { recursive: true })
    })

    it('prints the merged result of the files', async () => {
      const { code, stdout } = await print('stress', 'merge', one, one)
      expect(code).toBe(0)
      expect(stdout).toContain('16 connections at a time')
      expect(stdout).toContain('600 requests answered, 200/s')
      expect(stdout).toMatch(/^VALID: /m)
    })

    it('prints JSON with --json, which can be merged again', async () => {
      const { stdout } = await print('stress', 'merge', one, other, '--json')
      const result = JSON.parse(stdout) as StressResult
      expect(result.limits).toEqual([{ code: 'ports', message: 'Run 2: None.' }])
      const both = await print('stress', 'merge', one, fileOf('both.json', stdout), '--json')
      expect((JSON.parse(both.stdout) as StressResult).requests.answered).toBe(900)
    })

    it('writes a report, compares with a baseline, and fails for a condition', async () => {
      const report = join(folder, 'merged.html')
      const args = [
        'merge',
        one,
        other,
        '--report',
        report,
        '--baseline',
        fileOf('merged.json', ''),
      ]
      writeFileSync(args.at(-1) ?? '', (await print('stress', 'merge', one, one, '--json')).stdout)
      const { code, stdout, stderr } = await print('stress', ...args, '--fail-if', 'rate>=1x')
      expect(code).toBe(3)
      expect(stderr).toBe('--fail-if rate>=1x: it is 1x\n')
      expect(stdout).toMatch(/^rate +200\/s +200\/s +1\.00$/m)
      expect(readFileSync(report, 'utf8')).toMatch(/^<!doctype html>/i)
    })

    it.each([
      [[one], "'FILE' must name the JSON of two runs or more"],
      [[one, '/no/such/file'], 'ENOENT'],
      [[one, fileOf('text', 'x')], "text' must be JSON"],
      [[one, fileOf('list.json', [])], 'list.json" argument must be the result of a run'],
      [
        [
          one,
          fileOf('deliver.json', resultWith({ plan: { ...resultWith().plan, close: 'deliver' } })),
        ],
        'but it has close deliver instead of fin',
      ],
      [[one, one, '--rate', '5'], "'--rate' cannot be combined with stress merge"],
      [[one, one, '--fail-if', 'rate<1x'], "'--fail-if' needs --baseline"],
      [[one, one, '--baseline', one], 'but it has connections 8 instead of 16'],
    ])('refuses %j with exit code 2', async (args, message) => {
      const { code, stdout, stderr } = await print('stress', 'merge', ...args)
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
      expect(stderr).toContain(message)
    })
  })

  it('compares ways in one table', async () => {
    const ways = ['fin', 'server', 'keep-alive']
    const args = ['--compare', ways.join(','), '--rounds', '2', '--duration', '50ms']
    const { code, stdout } = await run('stress', await target(), ...args)
    expect(code).toBe(0)
    for (const way of ways) {
      expect(stdout).toMatch(new RegExp(`^round 2  ${way} `, 'm'))
      expect(stdout).toMatch(new RegExp(`^${way} .* of 2$`, 'm'))
    }
    expect(stdout).toContain('Means of 2 rounds')
  })

  it('compares ways on different ports of its own server, and prints JSON with --json', async () => {
    const args = ['--compare', 'deliver,reset', '--rounds', '2', '--duration', '50ms', '--json']
    const { code, stdout } = await run('stress', ...args)
    expect(code).toBe(0)
    const { ways } = JSON.parse(stdout) as StressComparison
    expect(ways.map(({ way }) => way)).toEqual(['deliver', 'reset'])
    const ports = ways.map(({ results }) => new Set(results.map(({ target: { port } }) => port)))
    expect(ports.map(({ size }) => size)).toEqual([1, 1])
    expect(ports[0]).not.toEqual(ports[1])
  })

  it.each([
    [['http://127.0.0.1:1/'], 'it refuses connections'],
    [[`http://${UNKNOWN_HOST}/`], 'Correct the host name'],
  ])('exits with code 1 if the target cannot be measured: %j', async (args, message) => {
    const { code, stdout, stderr } = await run('stress', ...args)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(message)
  })

  it.each([
    [['127.0.0.1'], "'TARGET' must name a host and a port"],
    [['a:1', 'b:1'], "takes no argument 'b:1'"],
    [['--rate', 'fast'], "'--rate' must be a rate"],
    [['--duration', '10x'], "'--duration' must be a time"],
    [['--connections', '0'], '"--connections" is out of range'],
    [['--workers', '65'], '"--workers" is out of range'],
    [['--workers', '9', '--connections', '8'], "'--workers' cannot be more than connections (8)"],
    [['--close', 'finn'], "'--close' must be one of"],
    [['--set', 'TCP_NODELAY'], "'--set' must be OPTION=VALUE"],
    [['--set', 'TCP_NODELA=1'], 'did you mean'],
    [['--header', 'x'], "'--header' must be 'Name: value'"],
    [['--arrivals', 'poisson'], "'--arrivals' needs --rate"],
    [['a:1', '--method', 'PUT'], "'--method' is for http and https targets"],
    [['--send', 'x'], "'--send' is for tcp and tls targets"],
    [['--fail-if', 'p99'], "'--fail-if' must be 'invalid'"],
    [['--compare', 'fin'], "'--compare' must have"],
    [['--compare', 'fin,fin'], "'--compare' must not name a way twice"],
    [['--compare', 'fin,finn'], "'--compare[1]' must be one of"],
    [['--compare', 'fin,reset', '--close', 'fin'], "'--close' cannot be combined"],
    [['--compare', 'fin,reset', '--fail-if', 'invalid'], "'--fail-if' cannot be combined"],
    [['--compare', 'fin,reset', '--rounds', '1'], '"--rounds" is out of range'],
    [['--rounds', '3'], "'--rounds' needs --compare or --find-rate"],
    [['--find-rate', 'p99>1ms'], "'--find-rate' must be a comparison by < or <="],
    [['--find-rate', 'p98<1ms'], "'--find-rate' must be 'invalid', or one of"],
    [['--find-rate', 'p99<1ms', '--amount', '5'], "'--amount' cannot be combined"],
    [['--find-rate', 'p99<1ms', '--rounds', '0'], '"--rounds" is out of range'],
    [['--find-rate', 'p99<1ms', '--report', 'x'], "'--report' cannot be combined"],
    [['--find-rate', 'p99<1ms', '--fail-if', 'invalid'], "'--fail-if' cannot be combined"],
    [['--compare', 'fin,reset', '--find-rate', 'p99<1ms'], "'--find-rate' cannot be combined"],
    [['--fail-if', 'p99>2x'], "'--fail-if' needs --baseline"],
    [['--baseline', '/no/such/file'], '--baseline cannot be read: ENOENT'],
    [['--compare', 'fin,reset', '--baseline', 'x'], "'--baseline' cannot be combined"],
    [['--alpn', 'h2', 'http://a/'], "'--alpn' is for https and tls targets"],
    [['--ca', '/no/such/file', 'https://a/'], '--ca cannot be read: ENOENT'],
    [['--ca', __filename, 'https://a/'], "'--ca' must have a certificate, PEM. Received none"],
    [['--ca', __filename, 'http://a/'], "'--ca' must have a certificate"],
    [
      ['--close', 'finn'],
      "must be one of: 'fin', 'deliver', 'lingering', 'reset', 'server'. Received 'finn'",
    ],
    [
      ['--close', 'server', '--requests-per-connection', 'keep-alive'],
      "cannot be 'server' with --requests-per-connection: 'keep-alive'",
    ],
    [['--duration', '0'], 'Received 0 ms'],
    [['--source', '::1'], '--source ::1 is an IPv6 address where an IPv4 one is needed'],
    [['--conections', '5'], 'did you mean --connections?'],
    [['--interval', '5'], "'stress' has no option --interval"],
  ])('refuses %j with exit code 2', async (args, message) => {
    const { code, stdout, stderr } = await print('stress', ...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(message)
  })
})

describe('the report of a search that was aborted', () => {
  it('does not claim that no rate failed', () => {
    const round = { round: 1, ratePerSecond: 100, result: resultWith() }
    const failure = { ratePerSecond: 100, cause: 'generator', message: 'busy' } as const
    const text = searchReport({
      schemaVersion: 1,
      condition: 'p99<20ms',
      ended: 'aborted',
      ratePerSecond: null,
      limit: null,
      rounds: [{ ...round, failure }],
    })
    expect(text).toContain('p99<20ms held at no rate that was tried, then aborted.')
    expect(text).not.toContain('No rate failed')
  })
})

describe('the flags of stress', () => {
  it('set every option of stress() except those that only programs need', () => {
    const set = stressFlagNames.map((name) => stressFlags[name].option)
    const notSet = stressOptions.names.filter((name) => !set.includes(name))
    expect(notSet).toEqual(['target', 'portRange', 'snapshotMs', 'signal'])
  })

  it.each([
    ['duration', '500ms', { durationMs: 500 }],
    ['duration', '1.5s', { durationMs: 1_500 }],
    ['warmup', '2', { warmupMs: 2_000 }],
    ['timeout', '2m', { timeoutMs: 120_000 }],
    ['duration', '1h', { durationMs: 3_600_000 }],
    ['rate', '0.5/s', { ratePerSecond: 0.5 }],
    ['connection-rate', '5/s', { connectionsPerSecond: 5 }],
    ['requests-per-connection', 'keep-alive', { requestsPerConnection: 'keep-alive' }],
    ['requests-per-connection', '7', { requestsPerConnection: 7 }],
    ['header', ['A: b', 'C:d: e'], { headers: { A: 'b', C: 'd: e' } }],
    [
      'set',
      ['TCP_NODELAY=true', 'SO_MARK=5', 'TCP_CONGESTION=cubic'],
      { settings: { TCP_NODELAY: true, SO_MARK: 5, TCP_CONGESTION: 'cubic' } },
    ],
    ['source', ['127.0.0.1', '127.0.0.2'], { source: ['127.0.0.1', '127.0.0.2'] }],
    ['insecure', true, { rejectUnauthorized: false }],
    ['alpn', 'h2, http/1.1', { alpnProtocols: ['h2', 'http/1.1'] }],
    ['alpn', '', { alpnProtocols: [] }],
  ])('translate --%s %j into %j', (name, value, options) => {
    const url = ['insecure', 'alpn'].includes(name) ? 'https://a/' : undefined
    expect(stressArguments({ [name]: value }, url)).toMatchObject({ options, target: url })
  })

  it.each([
    ['PING\\r\\n', 'PING\r\n'],
    ['\\x00\\xff\\\\n', '\0\xff\\n'],
    ['a\\qb', 'a\\qb'],
  ])('translate --send %j into the bytes %j', (text, bytes) => {
    const { options } = stressArguments({ send: text, expect: '5' }, 'a:1')
    expect(Buffer.from(options.send as string).toString('latin1')).toBe(bytes)
    expect(options.expect).toBe(5)
  })

  it('keep the code of an error', () => {
    const { code } = failureOf(() => stressArguments({ connections: '0' }, undefined))
    expect(code).toBe('ERR_OUT_OF_RANGE')
  })
})

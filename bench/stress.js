'use strict'

/**
 * Compares the rate and the processor time of `socket-tuner stress` with autocannon and, if they are installed, wrk and
 * ab. The target is nginx with one process. The clients take turns. Prints the medians of all turns, and the rate of
 * stress over that of each client in the same turn. A warm-up, in which V8 compiles, is not counted for stress, and
 * neither is its start: its processor time is what its result reports.
 */
const { spawnSync } = require('node:child_process')
const { join } = require('node:path')
const { median } = require('./helpers/median')
const { startNginx } = require('./helpers/nginx')

const SECONDS = Number(process.env.BENCH_SECONDS ?? 3)
const TURNS = Number(process.env.BENCH_TURNS ?? 9)
const WARMUP = '2s'
const CONNECTIONS = 50
const MAIN = join(__dirname, '..', 'dist', 'cli', 'main.js')
const AUTOCANNON = require.resolve('autocannon/autocannon.js')
const CLOSE = 'Connection: close'

const stress = (...args) => ({
  command: (url) => [
    process.execPath,
    ...[MAIN, 'stress', url, '--json', '--warmup', WARMUP, '--duration', `${SECONDS}s`],
    ...['--connections', String(CONNECTIONS), ...args],
  ],
  result(output) {
    const { requests, generator } = JSON.parse(output)
    const cpu = SECONDS * (generator.userCpu + generator.systemCpu)
    return { answered: requests.answered, cpu }
  },
})

const autocannon = (...args) => ({
  command: (url) => [
    process.execPath,
    ...[AUTOCANNON, '--json', '-c', String(CONNECTIONS), '-d', String(SECONDS), ...args, url],
  ],
  result: (output) => ({ answered: JSON.parse(output)['2xx'] }),
})

const wrk = (...args) => ({
  command: (url) => ['wrk', '-t1', `-c${CONNECTIONS}`, `-d${SECONDS}s`, ...args, url],
  result: (output) => ({ answered: Number(/(\d+) requests in/.exec(output)[1]) }),
})

const ab = (...args) => ({
  command: (url) => {
    const most = String(1e8)
    return ['ab', '-q', '-c', String(CONNECTIONS), '-t', String(SECONDS), '-n', most, ...args, url]
  },
  result: (output) => ({ answered: Number(/Complete requests: +(\d+)/.exec(output)[1]) }),
})

const isInstalled = (name) => spawnSync(name, ['-v'], { stdio: 'ignore' }).error === undefined
const hasWrk = isInstalled('wrk')
const hasAb = isInstalled('ab')

const contests = {
  'one request on each connection': {
    "stress, 'deliver'": stress(),
    "stress, 'server'": stress('--close', 'server'),
    autocannon: autocannon('-H', CLOSE),
    ...(hasWrk && { wrk: wrk('-H', CLOSE) }),
    ...(hasAb && { ab: ab() }),
  },
  'connections that are kept alive': {
    stress: stress('--requests-per-connection', 'keep-alive'),
    autocannon: autocannon(),
    ...(hasWrk && { wrk: wrk() }),
    ...(hasAb && { ab: ab('-k') }),
  },
}

/** Runs a client until it exits. `times` of the shell reports the processor time of child processes. */
function measure({ command, result }, url) {
  const script = '"$@" 2>/dev/null; times >&2'
  const { stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', ...command(url)], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  })
  const [, children = ''] = stderr.trim().split('\n')
  const seconds = Array.from(children.matchAll(/(\d+)m([\d.]+)s/g), ([, m, s]) => 60 * m + +s)
  const whole = seconds.reduce((sum, each) => sum + each, 0)
  const { answered, cpu = whole } = result(stdout)
  return { microseconds: (1e6 * cpu) / answered, perSecond: answered / SECONDS }
}

async function main() {
  const nginx = await startNginx('hello')
  const url = `http://127.0.0.1:${nginx.port}/`
  console.log(`${process.version}, ${TURNS} turns of ${SECONDS} s, ${CONNECTIONS} connections`)
  try {
    for (const [what, clients] of Object.entries(contests)) {
      const names = Object.keys(clients)
      const results = new Map(names.map((name) => [name, []]))
      for (let turn = 0; turn < TURNS; turn++) {
        const at = turn % names.length
        for (const name of [...names.slice(at), ...names.slice(0, at)])
          results.get(name).push(measure(clients[name], url))
      }
      console.log(`\n${what}: processor time for each, rate, rate of stress over it`)
      const [own] = results.values()
      for (const [name, all] of results) {
        const ratio = median(all.map(({ perSecond }, turn) => own[turn].perSecond / perSecond))
        const cpu = median(all.map(({ microseconds }) => microseconds))
        const rate = median(all.map(({ perSecond }) => perSecond))
        const figures = `${cpu.toFixed(1).padStart(7)} us  ${rate.toFixed(0).padStart(6)}/s`
        console.log(`${name.padEnd(20)} ${figures}  ${ratio.toFixed(2)}`)
      }
    }
  } finally {
    await nginx.stop()
  }
}

void main()

'use strict'

/**
 * Compares the processor time of `socket-tuner stress` per connection and per request with autocannon and, if it is
 * installed, wrk. The target is nginx with one process. The clients take turns. Prints the medians of all turns, and
 * the rate, which other programs on the machine affect more. The time to start Node is included.
 */
const { spawnSync } = require('node:child_process')
const { join } = require('node:path')
const { median } = require('./helpers/median')
const { startNginx } = require('./helpers/nginx')

const SECONDS = Number(process.env.BENCH_SECONDS ?? 5)
const TURNS = Number(process.env.BENCH_TURNS ?? 5)
const CONNECTIONS = 50
const MAIN = join(__dirname, '..', 'dist', 'cli', 'main.js')
const AUTOCANNON = require.resolve('autocannon/autocannon.js')
const CLOSE = 'Connection: close'

const stress = (...args) => ({
  command: (url) => [
    process.execPath,
    ...[MAIN, 'stress', url, '--json', '--duration', `${SECONDS}s`],
    ...['--connections', String(CONNECTIONS), ...args],
  ],
  answered: (output) => JSON.parse(output).requests.answered,
})

const autocannon = (...args) => ({
  command: (url) => [
    process.execPath,
    ...[AUTOCANNON, '--json', '-c', String(CONNECTIONS), '-d', String(SECONDS), ...args, url],
  ],
  answered: (output) => JSON.parse(output)['2xx'],
})

const wrk = (...args) => ({
  command: (url) => ['wrk', '-t1', `-c${CONNECTIONS}`, `-d${SECONDS}s`, ...args, url],
  answered: (output) => Number(/(\d+) requests in/.exec(output)[1]),
})

const hasWrk = spawnSync('wrk', ['-v'], { stdio: 'ignore' }).error === undefined

const contests = {
  'one request on each connection': {
    "stress, 'deliver'": stress(),
    "stress, 'server'": stress('--close', 'server'),
    autocannon: autocannon('-H', CLOSE),
    ...(hasWrk && { wrk: wrk('-H', CLOSE) }),
  },
  'connections that are kept alive': {
    stress: stress('--requests-per-connection', 'keep-alive'),
    autocannon: autocannon(),
    ...(hasWrk && { wrk: wrk() }),
  },
}

/** Runs a client until it exits. `times` of the shell reports the processor time of child processes. */
function measure({ command, answered }, url) {
  const script = '"$@" 2>/dev/null; times >&2'
  const { stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', ...command(url)], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  })
  const [, children = ''] = stderr.trim().split('\n')
  const seconds = Array.from(children.matchAll(/(\d+)m([\d.]+)s/g), ([, m, s]) => 60 * m + +s)
  const requests = answered(stdout)
  const cpu = seconds.reduce((sum, each) => sum + each, 0)
  return { microseconds: (1e6 * cpu) / requests, perSecond: requests / SECONDS }
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
      console.log(`\n${what}: processor time of the client for each, us; rate per second`)
      for (const [name, all] of results) {
        const cpu = median(all.map(({ microseconds }) => microseconds))
        const rate = median(all.map(({ perSecond }) => perSecond))
        console.log(`${name.padEnd(20)} ${cpu.toFixed(1).padStart(7)} us  ${rate.toFixed(0)}`)
      }
    }
  } finally {
    await nginx.stop()
  }
}

void main()

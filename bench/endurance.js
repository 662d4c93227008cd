'use strict'

/**
 * What `socket-tuner stress` holds for longer: two minutes of churn to one destination beside wrk, ab and autocannon;
 * an open loop of 5,000 requests per second; 50,000 connections at once. The target is nginx, with one process.
 * `node bench/endurance.js [churn] [open] [held]` runs some of them. Needs root on Linux, for a network namespace of its
 * own without tcp_tw_reuse, and a machine without other load for the first two.
 */
const { execFileSync, spawn } = require('node:child_process')
const { once } = require('node:events')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { startNginx } = require('./helpers/nginx')

const CHURN_S = Number(process.env.BENCH_CHURN_SECONDS ?? 120)
const OPEN_S = Number(process.env.BENCH_OPEN_SECONDS ?? 60)
const HELD = Number(process.env.BENCH_HELD ?? 50_000)
const HELD_S = 10
const RATE = 5_000
/** The first and the last seconds of the churn that are compared. */
const ENDS_S = 10
const CONNECTIONS = 50
const MAIN = join(__dirname, '..', 'dist', 'cli', 'main.js')
const AUTOCANNON = require.resolve('autocannon/autocannon.js')

const stress = (...args) => [process.execPath, MAIN, 'stress', '--json', ...args]

const clients = {
  "stress, 'deliver'": (url) => stress(url, '--duration', `${CHURN_S}s`),
  "stress, 'fin'": (url) => stress(url, '--duration', `${CHURN_S}s`, '--close', 'fin'),
  wrk: (url) => ['wrk', '-t1', `-c${CONNECTIONS}`, `-d${CHURN_S}s`, '-H', 'Connection: close', url],
  ab: (url) => [
    'ab',
    '-q',
    '-c',
    String(CONNECTIONS),
    '-t',
    String(CHURN_S),
    '-n',
    '100000000',
    url,
  ],
  autocannon: (url) => [
    process.execPath,
    ...[
      AUTOCANNON,
      '-c',
      String(CONNECTIONS),
      '-d',
      String(CHURN_S),
      '-H',
      'Connection: close',
      url,
    ],
  ],
}

/** The requests that nginx has handled. */
async function handled(port) {
  const response = await fetch(`http://127.0.0.1:${port}/status`)
  const [, , count] = /(\d+) (\d+) (\d+)/
    .exec(await response.text())
    .slice(1)
    .map(Number)
  return count
}

/** Runs a client to its end, with its output and the peak of its memory, MiB. */
async function run(command) {
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'ignore'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
  let peak = 0
  const watch = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
      // A process that has ended has none.
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
    } catch {
      // It has ended.
    }
  }, 200)
  await once(child, 'close')
  clearInterval(watch)
  return { output, peak }
}

async function churn() {
  console.log(`\n${CHURN_S} s of one request on each connection: per second, by nginx's count`)
  console.log(`${' '.repeat(20)} first ${ENDS_S} s  last ${ENDS_S} s  ratio`)
  let port = 9_000
  for (const [name, command] of Object.entries(clients)) {
    // On a port of its own, so that the entries in TIME_WAIT of the others take no port.
    const nginx = await startNginx('hello', { port: ++port })
    const counts = []
    const timer = setInterval(() => void handled(nginx.port).then((n) => counts.push(n)), 1_000)
    await run(command(`http://127.0.0.1:${nginx.port}/`))
    clearInterval(timer)
    await nginx.stop()
    const rate = (from, to) => (counts[to] - counts[from]) / (to - from)
    const last = counts.findLastIndex((count, at) => at > 0 && count - counts[at - 1] > 1)
    const end = Math.max(last, CHURN_S - 2)
    const first = rate(0, ENDS_S)
    const final = rate(Math.min(end, counts.length - 1) - ENDS_S, Math.min(end, counts.length - 1))
    console.log(
      `${name.padEnd(20)} ${first.toFixed(0).padStart(10)} ${final.toFixed(0).padStart(10)}  ${(final / first).toFixed(2)}`,
    )
  }
}

async function open() {
  const nginx = await startNginx('hello')
  const url = `http://127.0.0.1:${nginx.port}/`
  const args = ['--rate', `${RATE}/s`, '--duration', `${OPEN_S}s`, '--warmup', '2s']
  console.log(`\n${OPEN_S} s of an open loop of ${RATE}/s`)
  for (const way of ['1', 'keep-alive']) {
    const { output } = await run(stress(url, ...args, '--requests-per-connection', way))
    const { requests, latency, generator, valid } = JSON.parse(output)
    const { p50, p99, 'p99.9': p999 } = latency.percentilesMs
    console.log(
      `requests per connection ${way}: ${requests.perSecond.toFixed(1)}/s, ${requests.unsent} unsent, ` +
        `${requests.failed} failed; p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, p99.9 ${p999.toFixed(2)} ms; ` +
        `sent late p99 ${generator.lag.percentilesMs.p99.toFixed(2)} ms; ${valid ? 'valid' : 'INVALID'}`,
    )
  }
  await nginx.stop()
}

async function held() {
  // nginx closes idle connections when a sixteenth of its connections is left.
  const nginx = await startNginx('hello', { connections: Math.ceil(1.2 * HELD) + 100 })
  const url = `http://127.0.0.1:${nginx.port}/`
  const sources = ['--source', '127.0.0.1', '--source', '127.0.0.2']
  const life = ['--requests-per-connection', 'keep-alive', '--connections', String(HELD)]
  const timeouts = ['--duration', `${HELD_S}s`, '--timeout', '60s']
  const { output, peak } = await run(stress(url, ...life, ...sources, ...timeouts))
  const { requests, connections } = JSON.parse(output)
  console.log(
    `\n${connections.mostOpen} of ${HELD} connections at once, from two source addresses: ` +
      `${requests.answered} answers, ${requests.failed} failed, ${peak.toFixed(0)} MiB at most`,
  )
  await nginx.stop()
}

async function main() {
  const all = { churn, open, held }
  const names = process.argv.slice(2)
  const chosen = names.length > 0 ? names : Object.keys(all)
  const unknown = chosen.filter((name) => !Object.hasOwn(all, name))
  if (unknown.length > 0) throw new Error(`there is no ${unknown.join(', ')}`)
  console.log(`${process.version}, ${new Date().toISOString().slice(0, 10)}`)
  for (const name of chosen) await all[name]()
}

if (process.env.BENCH_INSIDE === undefined) {
  const limit = `ulimit -n ${Math.ceil(1.2 * HELD) + 1_000} || ulimit -n $(ulimit -Hn)`
  const script = `${limit}; ip link set lo up; echo 0 >/proc/sys/net/ipv4/tcp_tw_reuse; exec "$@"`
  execFileSync(
    'unshare',
    ['-n', 'bash', '-c', script, 'bash', process.execPath, ...process.argv.slice(1)],
    {
      stdio: 'inherit',
      env: { ...process.env, BENCH_INSIDE: '1' },
    },
  )
} else void main()

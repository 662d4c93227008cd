'use strict'

/**
 * Shows what load generators report of two servers whose latencies are known: one that answers each request after 50 ms,
 * at a low rate, and one that answers at once but stalls for 1 s. Each client has a server process of its own. Prints the
 * figures, and with --write stores them in results/stress-latency.json, from which `npm run docs` writes the tables of
 * docs/stress.md.
 */
const { fork, spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const http = require('node:http')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { measuredOn } = require('./helpers/measured-on')

const MAIN = join(__dirname, '..', 'dist', 'cli', 'main.js')
const AUTOCANNON = require.resolve('autocannon/autocannon.js')
const FILE = join(__dirname, 'results', 'stress-latency.json')

const SLOW_MS = 50
const STALL_MS = 1_000
const STALL_AFTER_MS = 3_000

/** The servers, by name. They run in this file, as a process of their own. */
const servers = {
  slow: (_request, response) => setTimeout(() => response.end('hello'), SLOW_MS),
  stall: (() => {
    let isDue = true
    return (_request, response) => {
      response.end('hello')
      if (isDue) setTimeout(stall, STALL_AFTER_MS)
      isDue = false
    }
  })(),
}

/** Blocks this process, as a long garbage collection or a synchronous call does. */
function stall() {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STALL_MS)
}

const WRK_REPORT = `function done(summary, latency)
  io.write(string.format("[%d,%f,%f,%f,%f]", summary.requests, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, latency:percentile(99.9) / 1000, latency.max / 1000))
end
`

const stress = (...args) => ({
  command: (url) => [process.execPath, MAIN, 'stress', url, '--json', ...args],
  figuresOf: (output) => {
    const { requests, latency } = JSON.parse(output)
    const { p50, p99, 'p99.9': p999 } = latency.percentilesMs
    return {
      answered: requests.answered,
      samples: latency.count,
      p50,
      p99,
      p999,
      max: latency.maxMs,
    }
  },
})

const autocannon = (...args) => ({
  command: (url) => [process.execPath, AUTOCANNON, '--json', ...args, url],
  figuresOf: (output) => {
    const { '2xx': answered, latency } = JSON.parse(output)
    const { totalCount: samples, p50, p99, p99_9: p999, max } = latency
    return { answered, samples, p50, p99, p999, max }
  },
})

const wrk = (...args) => ({
  command: (url, script) => ['wrk', '-s', script, ...args, url],
  figuresOf: (output) => {
    const [answered, p50, p99, p999, max] = JSON.parse(/\[[\d.,]+\]/.exec(output)[0])
    // It does not report how many samples it has made up.
    return { answered, samples: null, p50, p99, p999, max }
  },
})

const hasWrk = spawnSync('wrk', ['-v'], { stdio: 'ignore' }).error === undefined
const KEPT = ['--requests-per-connection', 'keep-alive']

const contests = {
  slow: {
    'socket-tuner stress --rate 10': stress('--rate', '10', '--duration', '3s', ...KEPT),
    'autocannon -R 10': autocannon('-c', '1', '-R', '10', '-d', '3'),
  },
  stall: {
    'socket-tuner stress --rate 1000': stress('--rate', '1000', '--duration', '10s', ...KEPT),
    'autocannon -c 10': autocannon('-c', '10', '-d', '10'),
    ...(hasWrk && { 'wrk -c 10': wrk('-t1', '-c10', '-d10s') }),
  },
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  const script = join(folder, 'report.lua')
  writeFileSync(script, WRK_REPORT)
  const results = { ...measuredOn(), servers: {} }
  try {
    for (const [name, clients] of Object.entries(contests)) {
      results.servers[name] = []
      console.log(`\n${name}: answered, samples; p50, p99, p99.9, max, ms`)
      for (const [client, { command, figuresOf }] of Object.entries(clients)) {
        const figures = figuresOf(await outputAgainst(name, (url) => command(url, script)))
        results.servers[name].push({ client, ...figures })
        console.log(
          client.padEnd(32),
          ...Object.values(figures).map((each) => (each?.toFixed(1) ?? 'n/a').padStart(9)),
        )
      }
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
  if (process.argv.includes('--write')) writeFileSync(FILE, `${JSON.stringify(results, null, 2)}\n`)
}

/** Runs a client against a new server. */
async function outputAgainst(name, commandFor) {
  const server = fork(__filename, ['serve', name])
  try {
    const [port] = await once(server, 'message')
    const [command, ...args] = commandFor(`http://127.0.0.1:${port}/`)
    const client = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] })
    let output = ''
    client.stdout.setEncoding('utf8').on('data', (text) => (output += text))
    await once(client, 'close')
    return output
  } finally {
    server.kill()
  }
}

function serve(name) {
  const server = http.createServer({ keepAliveTimeout: 60_000 }, servers[name])
  server.listen(0, '127.0.0.1', () => process.send(server.address().port))
}

if (process.argv[2] === 'serve') serve(process.argv[3])
else void main()

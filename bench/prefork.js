'use strict'

/**
 * Compares the requests per second of an http server under wrk with the workers of prefork() and of node:cluster with
 * its two policies. All three run throughout and take turns. Prints the medians over all turns, of the rates and of the
 * ratios within a turn. Needs wrk. As root on Linux it runs in a network namespace of its own with few TIME_WAIT
 * entries; elsewhere, wrk also measures its own search for ports.
 */
const { execFile, execFileSync, fork } = require('node:child_process')
const cluster = require('node:cluster')
const { once } = require('node:events')
const { writeFileSync } = require('node:fs')
const http = require('node:http')
const { promisify } = require('node:util')
const { prefork } = require('../dist/prefork')
const { median } = require('./helpers/median')

const WORKERS = Number(process.env.BENCH_WORKERS ?? 2)
const TURNS = Number(process.env.BENCH_PREFORK_TURNS ?? 15)
const SECONDS = Number(process.env.BENCH_PREFORK_SECONDS ?? 1)
const CONNECTIONS = 64
const host = '127.0.0.1'
const run = promisify(execFile)

const ways = {
  'prefork()': () =>
    prefork({ workers: WORKERS, host, serve: (worker) => worker.listen(server()) }),
  'cluster, round-robin': () => byCluster(cluster.SCHED_RR),
  'cluster, SCHED_NONE': () => byCluster(cluster.SCHED_NONE),
}

const loads = {
  'a connection for each request': ['-H', 'Connection: close'],
  'kept connections': [],
}

function server() {
  const body = Buffer.alloc(100, 'b')
  return http.createServer((_request, response) => response.end(body))
}

/** Resolves as prefork() does: with undefined in a worker. */
async function byCluster(policy) {
  if (cluster.isWorker) {
    server().listen({ host, port: 0 })
    return undefined
  }
  cluster.schedulingPolicy = policy
  const workers = Array.from({ length: WORKERS }, () => cluster.fork())
  const [[, address]] = await Promise.all(workers.map(() => once(cluster, 'listening')))
  return { address }
}

async function serve(way) {
  const group = await ways[way]()
  if (group === undefined) return
  process.on('disconnect', () => process.exit())
  process.send(group.address.port)
}

/** Requests per second. */
async function rate(port, headers, seconds) {
  const args = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, ...headers, `http://${host}:${port}/`]
  const { stdout } = await run('wrk', args)
  if (/Socket errors|Non-2xx/.test(stdout)) process.stderr.write(stdout)
  return Number(/Requests\/sec:\s*([\d.]+)/.exec(stdout)?.[1])
}

async function measure(load, ports) {
  const names = Object.keys(ports)
  const rates = Object.fromEntries(names.map((name) => [name, []]))
  for (let turn = 0; turn < TURNS; turn++) {
    // The order alternates, since it may matter.
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + turn) % names.length]
      rates[name].push(await rate(ports[name], loads[load], SECONDS))
    }
  }
  const [own, ...others] = names
  console.log(load)
  for (const name of names) {
    console.log(`  ${name.padEnd(34)} ${median(rates[name]).toFixed(0).padStart(7)} requests/s`)
  }
  for (const name of others) {
    const ratio = median(rates[own].map((value, turn) => value / rates[name][turn]))
    console.log(`  ${`${own} / ${name}`.padEnd(34)} ${ratio.toFixed(3).padStart(7)}`)
  }
}

async function main() {
  const children = Object.keys(ways).map((way) => fork(__filename, [way]))
  try {
    const messages = await Promise.all(children.map((child) => once(child, 'message')))
    const ports = Object.fromEntries(Object.keys(ways).map((way, i) => [way, messages[i][0]]))
    console.log(`${process.version}, ${WORKERS} workers, ${TURNS} turns of ${SECONDS} s`)
    for (const port of Object.values(ports)) await rate(port, [], 1)
    for (const load of Object.keys(loads)) await measure(load, ports)
  } finally {
    for (const child of children) child.disconnect()
  }
}

function prepareNamespace() {
  execFileSync('ip', ['link', 'set', 'lo', 'up'])
  writeFileSync('/proc/sys/net/ipv4/tcp_max_tw_buckets', '64')
}

const [, , argument] = process.argv
if (argument in ways) {
  void serve(argument)
} else if (argument === 'inside') {
  prepareNamespace()
  void main()
} else if (process.platform === 'linux' && process.getuid() === 0) {
  execFileSync('unshare', ['--net', process.execPath, __filename, 'inside'], { stdio: 'inherit' })
} else {
  void main()
}

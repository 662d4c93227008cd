'use strict'

/**
 * Compares the requests per second of an http server that closes each connection after its response, under wrk, without
 * and with `tuneServer(server, { close: 'deliver' })`. The two take turns, each in its own process. Prints the median of
 * the ratios of all turns, and the share of requests that left TIME_WAIT at the server.
 * Run it in a network namespace of its own, with a wide net.ipv4.ip_local_port_range.
 */
const { execFile, fork } = require('node:child_process')
const { once } = require('node:events')
const http = require('node:http')
const { promisify } = require('node:util')
const { tuneServer } = require('../dist')
const { countSockets } = require('../dist/ports')
const { median } = require('./helpers/median')

const SECONDS = Number(process.env.BENCH_SECONDS ?? 2)
const TURNS = Number(process.env.BENCH_TURNS ?? 9)
const CLIENTS = 32

function serve(name) {
  const body = Buffer.alloc(1000, 'b')
  const server = http.createServer((request, response) => response.end(body))
  if (name === 'tuned') tuneServer(server, { close: 'deliver' })
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
    process.send(server.address().port),
  )
}

async function load(port) {
  const url = `http://127.0.0.1:${port}/`
  const wrk = ['-t1', `-c${CLIENTS}`, `-d${SECONDS}s`, '-H', 'Connection: close', url]
  const { stdout } = await promisify(execFile)('wrk', wrk)
  return Number(/(\d+) requests in/.exec(stdout)[1])
}

async function timeWaits(port) {
  const { total } = await countSockets({
    states: ['TIME_WAIT'],
    localPort: port,
  })
  return total
}

async function main() {
  const requests = { untuned: [], tuned: [] }
  const left = { untuned: 0, tuned: 0 }
  for (let turn = 0; turn < TURNS; turn++) {
    // The order alternates, since it may matter.
    for (const name of turn % 2 === 0 ? ['untuned', 'tuned'] : ['tuned', 'untuned']) {
      const server = fork(__filename, ['serve', name])
      const [port] = await once(server, 'message')
      requests[name].push(await load(port))
      left[name] += await timeWaits(port)
      server.kill()
      await once(server, 'exit')
    }
  }
  console.log(
    `${process.version}, ${TURNS} turns of ${SECONDS} s, ${CLIENTS} connections at a time`,
  )
  for (const name of ['untuned', 'tuned']) {
    const all = requests[name].reduce((sum, count) => sum + count, 0)
    const perSecond = median(requests[name]) / SECONDS
    const share = ((100 * left[name]) / all).toFixed(2)
    console.log(
      `${name.padEnd(16)} ${perSecond.toFixed(0).padStart(7)} requests/s, ${share} % left TIME_WAIT`,
    )
  }
  const ratios = requests.tuned.map((count, turn) => count / requests.untuned[turn])
  console.log(`tuned / untuned  ${median(ratios).toFixed(3).padStart(7)}`)
}

const [role, name] = process.argv.slice(2)
process.on('disconnect', () => process.exit())
if (role === 'serve') serve(name)
else void main()

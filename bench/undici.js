'use strict'

/**
 * Compares the requests per second of undici over kept connections, with tunedConnector() and with its own connector.
 * The two take turns against a server in another process. Prints the median of the ratios of all turns, and that of two
 * identical pools, which shows the noise. Uses the newest undici that runs on this Node.
 */
const { fork } = require('node:child_process')
const { once } = require('node:events')
const http = require('node:http')
const { tunedConnector } = require('../dist/clients/undici')
const { median } = require('./helpers/median')

const REQUESTS = Number(process.env.BENCH_REQUESTS ?? 2_000)
const TURNS = Number(process.env.BENCH_HTTP_TURNS ?? 60)
const AT_A_TIME = 16

function serve() {
  const body = Buffer.alloc(100, 'b')
  const server = http.createServer((request, response) => response.end(body))
  server.listen(0, '127.0.0.1', () => process.send(server.address().port))
  process.on('disconnect', () => process.exit())
}

function newestUndici() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  const name = major > 22 || (major === 22 && minor >= 19) ? 'undici8' : 'undici7'
  const { version } = require(`${name}/package.json`)
  return { ...require(name), version }
}

/** Requests per second. */
async function rate(pool, requests) {
  let begun = 0
  const lane = async () => {
    while (begun++ < requests) {
      const { body } = await pool.request({ path: '/', method: 'GET' })
      await body.text()
    }
  }
  const start = process.hrtime.bigint()
  await Promise.all(Array.from({ length: AT_A_TIME }, lane))
  return (requests * 1e9) / Number(process.hrtime.bigint() - start)
}

async function measure(port) {
  const { Pool, version } = newestUndici()
  const pools = [{}, {}, { connect: tunedConnector() }].map(
    (options) => new Pool(`http://127.0.0.1:${port}`, { connections: AT_A_TIME, ...options }),
  )
  for (const pool of [...pools, ...pools]) await rate(pool, REQUESTS)
  const turns = []
  for (let turn = 0; turn < TURNS; turn++) {
    const rates = []
    // The order alternates, since it may matter.
    for (let i = 0; i < pools.length; i++) {
      const which = (turn + (turn % 2 === 0 ? i : -i) + TURNS * pools.length) % pools.length
      rates[which] = await rate(pools[which], REQUESTS)
    }
    turns.push(rates)
  }
  await Promise.all(pools.map((pool) => pool.close()))
  const show = (name, value) => console.log(`${name.padEnd(26)} ${value.padStart(8)}`)
  console.log(
    `${process.version}, undici ${version}, ${TURNS} turns of ${REQUESTS} requests, ${AT_A_TIME} at a time`,
  )
  show("undici's own connector", `${median(turns.map(([own]) => own)).toFixed(0)} requests/s`)
  show('tunedConnector()', `${median(turns.map(([, , tuned]) => tuned)).toFixed(0)} requests/s`)
  show('tuned / own', median(turns.map(([own, , tuned]) => tuned / own)).toFixed(3))
  // The noise: these two pools are identical.
  show('own / own', median(turns.map(([own, again]) => again / own)).toFixed(3))
}

async function main() {
  const server = fork(__filename, ['serve'])
  try {
    const [port] = await once(server, 'message')
    await measure(port)
  } finally {
    server.kill()
  }
}

if (process.argv[2] === 'serve') serve()
else void main()

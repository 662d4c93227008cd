'use strict'

/**
 * Compares the requests per second of tunedAutocannon and autocannon over kept connections. The two take turns
 * against a server in another process. Prints the median of the ratios of all turns.
 */
const { fork } = require('node:child_process')
const { once } = require('node:events')
const http = require('node:http')
const autocannon = require('autocannon')
const { tunedAutocannon } = require('../dist/clients/autocannon')
const { median } = require('./helpers/median')

const SECONDS = Number(process.env.BENCH_SECONDS ?? 1)
const TURNS = Number(process.env.BENCH_HTTP_TURNS ?? 15)
const CONNECTIONS = 16

function serve() {
  const body = Buffer.alloc(100, 'b')
  const server = http.createServer((request, response) => response.end(body))
  server.listen(0, '127.0.0.1', () => process.send(server.address().port))
  process.on('disconnect', () => process.exit())
}

/** Requests per second. */
async function rate(run, port) {
  const url = `http://127.0.0.1:${port}`
  const result = await run({ url, connections: CONNECTIONS, duration: SECONDS, sampleInt: 50 })
  if (result.errors > 0) throw new Error(`${result.errors} errors`)
  return result['2xx'] / result.duration
}

async function measure(port) {
  for (const run of [autocannon, tunedAutocannon]) await rate(run, port)
  const rates = { plain: [], tuned: [], ratio: [] }
  for (let turn = 0; turn < TURNS; turn++) {
    // The order alternates, since it may matter.
    const order = turn % 2 === 0 ? [autocannon, tunedAutocannon] : [tunedAutocannon, autocannon]
    const [first, second] = [await rate(order[0], port), await rate(order[1], port)]
    const [plain, tuned] = order[0] === autocannon ? [first, second] : [second, first]
    rates.plain.push(plain)
    rates.tuned.push(tuned)
    rates.ratio.push(tuned / plain)
  }
  console.log(`${process.version}, ${TURNS} turns of ${SECONDS} s, ${CONNECTIONS} connections`)
  console.log(
    `autocannon                   ${median(rates.plain).toFixed(0).padStart(8)} requests/s`,
  )
  console.log(
    `tunedAutocannon              ${median(rates.tuned).toFixed(0).padStart(8)} requests/s`,
  )
  console.log(`tunedAutocannon / autocannon ${median(rates.ratio).toFixed(3).padStart(8)}`)
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

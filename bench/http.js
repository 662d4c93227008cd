'use strict'

/**
 * Requests per second over kept connections, by http.Agent and by TunedAgent, in one run: the two take
 * turns against a server in another process, and the median of the turns' ratios is what is printed.
 */
const { fork } = require('node:child_process')
const { once } = require('node:events')
const http = require('node:http')
const { TunedAgent } = require('../dist/adapters/http')

const REQUESTS = Number(process.env.BENCH_REQUESTS ?? 10_000)
const TURNS = Number(process.env.BENCH_HTTP_TURNS ?? 15)
const AT_A_TIME = 16

function serve() {
  const body = Buffer.alloc(100, 'b')
  const server = http.createServer((request, response) => response.end(body))
  server.listen(0, '127.0.0.1', () => process.send(server.address().port))
  process.on('disconnect', () => process.exit())
}

function ask(agent, port) {
  return new Promise((resolve, reject) => {
    http
      .get({ host: '127.0.0.1', port, agent }, (response) => {
        response.resume()
        response.on('end', resolve)
      })
      .on('error', reject)
  })
}

/** Requests per second. */
async function rate(agent, port, requests) {
  let begun = 0
  const lane = async () => {
    while (begun++ < requests) await ask(agent, port)
  }
  const start = process.hrtime.bigint()
  await Promise.all(Array.from({ length: AT_A_TIME }, lane))
  return (requests * 1e9) / Number(process.hrtime.bigint() - start)
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
}

async function measure(port) {
  const node = new http.Agent({ keepAlive: true })
  const tuned = new TunedAgent()
  for (const agent of [node, tuned, node, tuned]) await rate(agent, port, REQUESTS / 2)
  const rates = { node: [], tuned: [], ratio: [] }
  for (let turn = 0; turn < TURNS; turn++) {
    // Who goes second may be helped or hindered by that.
    const order = turn % 2 === 0 ? [node, tuned] : [tuned, node]
    const [first, second] = [
      await rate(order[0], port, REQUESTS),
      await rate(order[1], port, REQUESTS),
    ]
    const [ofNode, ofTuned] = order[0] === node ? [first, second] : [second, first]
    rates.node.push(ofNode)
    rates.tuned.push(ofTuned)
    rates.ratio.push(ofTuned / ofNode)
  }
  node.destroy()
  tuned.destroy()
  console.log(`${process.version}, ${TURNS} turns of ${REQUESTS} requests, ${AT_A_TIME} at a time`)
  console.log(`http.Agent                 ${median(rates.node).toFixed(0).padStart(8)} requests/s`)
  console.log(`TunedAgent                 ${median(rates.tuned).toFixed(0).padStart(8)} requests/s`)
  console.log(`TunedAgent / http.Agent    ${median(rates.ratio).toFixed(3).padStart(8)}`)
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

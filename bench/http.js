'use strict'

/**
 * Requests per second over kept connections, by http.Agent and by TunedAgent, in one run: the two take
 * turns, each in a process of its own as in a program that uses one of them, against a server in a
 * third one. Of two processes that do the same one may be faster by 5 % for as long as it runs, so the
 * clients are started anew in each round. The median of all turns' ratios is what is printed.
 */
const { fork } = require('node:child_process')
const { once } = require('node:events')
const http = require('node:http')
const { TunedAgent } = require('../dist/clients/http')

const REQUESTS = Number(process.env.BENCH_REQUESTS ?? 3_000)
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 15)
const TURNS = 5
const WARM_UPS = 3
const AT_A_TIME = 16

const agents = {
  'http.Agent': () => new http.Agent({ keepAlive: true }),
  TunedAgent: () => new TunedAgent(),
}

function serve() {
  const body = Buffer.alloc(100, 'b')
  const server = http.createServer((request, response) => response.end(body))
  server.listen(0, '127.0.0.1', () => process.send(server.address().port))
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

/** Makes the requests each time that the parent asks for it, and says how many per second it made. */
function serveAsClient(name, port) {
  const agent = agents[name]()
  process.on('message', async (requests) => {
    let begun = 0
    const lane = async () => {
      while (begun++ < requests) await ask(agent, port)
    }
    const start = process.hrtime.bigint()
    await Promise.all(Array.from({ length: AT_A_TIME }, lane))
    process.send((requests * 1e9) / Number(process.hrtime.bigint() - start))
  })
}

async function rate(client, requests) {
  client.send(requests)
  const [perSecond] = await once(client, 'message')
  return perSecond
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
}

async function round(port, rates) {
  const clients = Object.keys(agents).map((name) => fork(__filename, ['client', name, port]))
  const [node, tuned] = clients
  try {
    for (let i = 0; i < WARM_UPS; i++) for (const client of clients) await rate(client, REQUESTS)
    for (let turn = 0; turn < TURNS; turn++) {
      // To go second may help or hinder.
      const results = new Map()
      for (const client of turn % 2 === 0 ? [node, tuned] : [tuned, node]) {
        results.set(client, await rate(client, REQUESTS))
      }
      rates.node.push(results.get(node))
      rates.tuned.push(results.get(tuned))
      rates.ratio.push(results.get(tuned) / results.get(node))
    }
  } finally {
    for (const client of clients) client.kill()
  }
}

async function main() {
  const server = fork(__filename, ['serve'])
  const rates = { node: [], tuned: [], ratio: [] }
  try {
    const [port] = await once(server, 'message')
    for (let i = 0; i < ROUNDS; i++) await round(port, rates)
  } finally {
    server.kill()
  }
  const turns = `${ROUNDS} rounds of ${TURNS} turns of ${REQUESTS} requests`
  console.log(`${process.version}, ${turns}, ${AT_A_TIME} at a time`)
  console.log(`http.Agent              ${median(rates.node).toFixed(0).padStart(8)} requests/s`)
  console.log(`TunedAgent              ${median(rates.tuned).toFixed(0).padStart(8)} requests/s`)
  console.log(`TunedAgent / http.Agent ${median(rates.ratio).toFixed(3).padStart(8)}`)
}

const [role, name, port] = process.argv.slice(2)
process.on('disconnect', () => process.exit())
if (role === 'serve') serve()
else if (role === 'client') serveAsClient(name, port)
else void main()

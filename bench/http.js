'use strict'

/**
 * Compares the requests per second and the processor time of TunedAgent and http.Agent, over kept connections and with
 * a connection for each request. The two take turns, each in its own process as in a real program, against a server in
 * a third process. Of two identical processes, one may be faster by 5 % as long as it runs, so each round starts new
 * clients. Prints the median of the ratios of all turns.
 */
const { fork } = require('node:child_process')
const { once } = require('node:events')
const http = require('node:http')
const { TunedAgent } = require('../dist/clients/http')
const { median } = require('./helpers/median')

const REQUESTS = Number(process.env.BENCH_REQUESTS ?? 3_000)
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 15)
const TURNS = 5
const WARM_UPS = 3
const AT_A_TIME = 16

const agents = {
  'http.Agent': (keepAlive) => new http.Agent({ keepAlive }),
  TunedAgent: (keepAlive) => new TunedAgent({ keepAlive }),
}

function serve() {
  const body = Buffer.alloc(100, 'b')
  const server = http.createServer((request, response) => response.end(body))
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
    process.send(server.address().port),
  )
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

/**
 * For each message of the parent, makes that number of requests and replies with their rate per second and the
 * processor time of each, us.
 */
function serveAsClient(name, port, keepAlive) {
  const agent = agents[name](keepAlive)
  process.on('message', async (requests) => {
    let begun = 0
    const lane = async () => {
      while (begun++ < requests) await ask(agent, port)
    }
    const before = process.cpuUsage()
    const start = process.hrtime.bigint()
    await Promise.all(Array.from({ length: AT_A_TIME }, lane))
    const rate = (requests * 1e9) / Number(process.hrtime.bigint() - start)
    const { user, system } = process.cpuUsage(before)
    process.send({ rate, cpu: (user + system) / requests })
  })
}

async function measure(client, requests) {
  client.send(requests)
  const [result] = await once(client, 'message')
  return result
}

async function round(port, keepAlive, results) {
  const clients = Object.keys(agents).map((name) =>
    fork(__filename, ['client', name, port, String(keepAlive)]),
  )
  const [node, tuned] = clients
  try {
    for (let i = 0; i < WARM_UPS; i++) for (const client of clients) await measure(client, REQUESTS)
    for (let turn = 0; turn < TURNS; turn++) {
      // The order alternates, since it may matter.
      const turns = new Map()
      for (const client of turn % 2 === 0 ? [node, tuned] : [tuned, node]) {
        turns.set(client, await measure(client, REQUESTS))
      }
      results.node.push(turns.get(node))
      results.tuned.push(turns.get(tuned))
    }
  } finally {
    for (const client of clients) client.kill()
  }
}

function report(title, { node, tuned }) {
  const line = (name, values) => {
    const rate = median(values.map((each) => each.rate)).toFixed(0)
    const cpu = median(values.map((each) => each.cpu)).toFixed(1)
    console.log(`  ${name.padEnd(24)}${rate.padStart(8)} requests/s ${cpu.padStart(8)} us each`)
  }
  const ratio = (key) => median(tuned.map((each, i) => each[key] / node[i][key])).toFixed(3)
  console.log(title)
  line('http.Agent', node)
  line('TunedAgent', tuned)
  console.log(`  TunedAgent / http.Agent ${ratio('rate').padStart(8)} ${ratio('cpu').padStart(19)}`)
}

async function main() {
  const turns = `${ROUNDS} rounds of ${TURNS} turns of ${REQUESTS} requests`
  console.log(`${process.version}, ${turns}, ${AT_A_TIME} at a time`)
  const server = fork(__filename, ['serve'])
  try {
    const [port] = await once(server, 'message')
    for (const keepAlive of [true, false]) {
      const results = { node: [], tuned: [] }
      for (let i = 0; i < ROUNDS; i++) await round(port, keepAlive, results)
      report(keepAlive ? 'kept connections' : 'a connection for each request', results)
    }
  } finally {
    server.kill()
  }
}

const [role, name, port, keepAlive] = process.argv.slice(2)
process.on('disconnect', () => process.exit())
if (role === 'serve') serve()
else if (role === 'client') serveAsClient(name, port, keepAlive === 'true')
else void main()

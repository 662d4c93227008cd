'use strict'

// A server is replaced while a client keeps its connections, and no request fails. The client looks up
// the server for each new connection, as behind a load balancer.
const http = require('node:http')
const net = require('node:net')
const { once } = require('node:events')
const { tuneServer } = require('socket-tuner')

const CLIENTS = 20

async function serve(name) {
  const server = http.createServer((request, response) => response.end(name))
  const tuning = tuneServer(server, { maxConnectionAgeMs: 300_000, maxRequests: 1_000 })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { tuning, port: server.address().port }
}

function ask(agent) {
  return new Promise((resolve, reject) => {
    http
      .request({ method: 'POST', agent }, (response) => {
        response.setEncoding('utf8').once('data', resolve)
      })
      .on('error', reject)
      .end('body')
  })
}

async function main() {
  const old = await serve('old')
  const next = await serve('next')
  let { port } = old
  const agent = new http.Agent({ keepAlive: true })
  agent.createConnection = () => net.connect(port, '127.0.0.1')

  const answers = { old: 0, next: 0, failed: 0 }
  let running = true
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (running) answers[await ask(agent).catch(() => 'failed')]++
  })

  while (answers.old < 10 * CLIENTS) await new Promise((resolve) => setTimeout(resolve, 5))
  ;({ port } = next)
  const report = await old.tuning.shutdown({ overMs: 500, deadlineMs: 8_500 })
  running = false
  await Promise.all(clients)
  agent.destroy()

  console.log(report)
  console.log(answers, next.tuning.counters().retired)
  await next.tuning.shutdown()
  if (answers.failed > 0 || answers.next === 0 || report.cut > 0) process.exitCode = 1
}

void main()

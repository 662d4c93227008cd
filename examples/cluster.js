'use strict'

// Two ways to tune the servers of node:cluster. With listen() each worker has a listening socket of its
// own on the same port; under SCHED_NONE all workers accept from one, which server.listen() gives them.
// Under SCHED_RR, Node's default, the listening socket stays in the primary: there tuneServer() can set
// the close mode only. prefork() does the first way with restarts and a shutdown beside it.
const cluster = require('node:cluster')
const http = require('node:http')
const net = require('node:net')
const { once } = require('node:events')
const { getOption, listen, tuneServer } = require('socket-tuner')
const { countSockets } = require('socket-tuner/ports')

// Of loopback too, and of this program alone: what is counted there is its own.
const host = '127.0.0.21'
const settings = { TCP_KEEPIDLE: 60, TCP_DEFER_ACCEPT: 5 }

async function work() {
  const answer = (request, response) => response.end(String(process.pid))
  const own = http.createServer(answer)
  // The first worker takes any port, the others the same.
  const port = Number(process.env.OWN_PORT ?? 0)
  const options = { host, port, settings: { ...settings, SO_REUSEPORT: true } }
  const address = await listen(own, { ...options, close: 'deliver' })
  // node:cluster knows nothing of it.
  process.once('disconnect', () => own.close())

  const shared = http.createServer(answer)
  const tuning = tuneServer(shared, { settings, close: 'deliver' })
  shared.listen(0, host)
  await tuning.applied

  const idle = [own, shared].map((server) => getOption(server, 'TCP_KEEPIDLE'))
  process.send({ ports: [address.port, shared.address().port], idle })
}

async function main() {
  cluster.schedulingPolicy = cluster.SCHED_NONE
  const [first] = await once(cluster.fork(), 'message')
  const [second] = await once(cluster.fork({ OWN_PORT: first.ports[0] }), 'message')
  console.log('TCP_KEEPIDLE of both servers in both workers', first.idle, second.idle)
  const isTuned = [...first.idle, ...second.idle].every((seconds) => seconds === 60)

  for (const [index, port] of first.ports.entries()) {
    const processes = new Set()
    for (let i = 0; i < 100; i++) processes.add(await ask(port))
    const { total } = await countSockets({
      states: ['TIME_WAIT'],
      localAddress: host,
      localPort: port,
    })
    const listener = ['listen()', 'server.listen(), SCHED_NONE'][index]
    console.log(`${listener}: answered by ${processes.size} processes, TIME_WAIT left: ${total}`)
    // Which one accepts from the shared socket is left to the kernel.
    if (total > 0 || (index === 0 && processes.size !== 2)) process.exitCode = 1
  }
  cluster.disconnect()
  if (!isTuned) process.exitCode = 1
}

/** Reads until the server closes. */
async function ask(port) {
  const client = net.connect(port, host).setEncoding('utf8')
  let answer = ''
  client.on('data', (text) => (answer += text))
  client.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  await once(client, 'close')
  return answer.split('\r\n\r\n')[1]
}

void (cluster.isPrimary ? main() : work())

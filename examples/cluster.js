'use strict'

// Two ways to tune the servers of node:cluster. With listen(), each worker has its own listening socket on the same
// port. Under SCHED_NONE, all workers accept from one socket of server.listen(). Under SCHED_RR, Node's default, the
// listening socket stays in the primary, and tuneServer() can only set the close mode. prefork() uses the first way,
// and adds restarts and a shutdown.
const cluster = require('node:cluster')
const http = require('node:http')
const net = require('node:net')
const { once } = require('node:events')
const { getOption, listen, tuneServer } = require('socket-tuner')
const { countSockets } = require('socket-tuner/ports')

// A loopback address that only this program uses, so that only its own sockets are counted.
const host = '127.0.0.21'
const settings = { TCP_KEEPIDLE: 60, TCP_DEFER_ACCEPT: 5 }

async function work() {
  const answer = (request, response) => response.end(String(process.pid))
  const own = http.createServer(answer)
  // The first worker uses any free port, and the others use the same one.
  const port = Number(process.env.OWN_PORT ?? 0)
  const options = { host, port, settings: { ...settings, SO_REUSEPORT: true } }
  const address = await listen(own, { ...options, close: 'deliver' })
  // node:cluster does not know this socket.
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
    // The kernel decides which worker accepts from the shared socket.
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

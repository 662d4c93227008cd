'use strict'

// A Fastify application in two processes, each with its own listening socket. If it refuses a body because of its
// length, the answer arrives even if the client keeps uploading. No connection leaves TIME_WAIT.
const fastify = require('fastify')
const net = require('node:net')
const { once } = require('node:events')
const { answerEarly, tuneServer } = require('socket-tuner')
const { countSockets } = require('socket-tuner/ports')
const { prefork } = require('socket-tuner/prefork')

const LIMIT = 1_000_000
// A loopback address that only this program uses, so that only its own sockets are counted.
const host = '127.0.0.22'

function application() {
  const app = fastify({ bodyLimit: LIMIT })
  app.addHook('onRequest', async (request, reply) => {
    if (Number(request.headers['content-length']) > LIMIT) {
      // Fastify no longer owns the answer.
      reply.hijack()
      answerEarly(request.raw, reply.raw, { status: 413, body: 'too large\n' })
    }
  })
  app.get('/', async () => ({ pid: process.pid }))
  return app
}

async function serve(worker) {
  const app = application()
  await app.ready()
  tuneServer(app.server, { close: 'deliver' })
  await worker.listen(app.server)
  return () => app.close()
}

async function main() {
  const settings = { TCP_KEEPIDLE: 60, TCP_DEFER_ACCEPT: 5 }
  const group = await prefork({ workers: 2, host, settings, serve })
  // The workers run this file too.
  if (group === undefined) return
  const { port } = group.address

  const processes = new Set()
  for (let i = 0; i < 100; i++)
    processes.add((await send(port, 'GET / HTTP/1.1')).split('\r\n\r\n')[1])
  const timeWait = await countSockets({
    states: ['TIME_WAIT'],
    localAddress: host,
    localPort: port,
  })
  console.log(`answered by ${processes.size} processes, TIME_WAIT left: ${timeWait.total}`)

  const upload = 'PUT / HTTP/1.1\r\nContent-Length: 20000000'
  const answer = await send(port, upload, Buffer.alloc(20_000_000))
  console.log(answer)
  console.log(await group.counters())
  await group.close()
  const arrived = answer.startsWith('HTTP/1.1 413') && answer.endsWith('too large\n')
  if (processes.size !== 2 || timeWait.total > 0 || !arrived) process.exitCode = 1
}

/** Reads the answer only after everything is written, until the server closes. */
async function send(port, head, body = Buffer.alloc(0)) {
  const client = net.connect(port, host).pause().setEncoding('utf8')
  let answer = ''
  client.on('data', (text) => (answer += text))
  const request = Buffer.from(`${head}\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
  client.write(Buffer.concat([request, body]), () => client.resume())
  await once(client, 'close')
  return answer
}

void main()

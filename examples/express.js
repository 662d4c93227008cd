'use strict'

// An unchanged Express application on a tuned server. A 401 that is sent before the body was read arrives even if the
// client keeps uploading. A dead peer is detected after 30 s.
const express = require('express')
const net = require('node:net')
const { once } = require('node:events')
const { setTimeout: pause } = require('node:timers/promises')
const { deadPeerDetection, tuneServer } = require('socket-tuner')

function application() {
  const app = express()
  app.get('/', (request, response) => response.send('hello\n'))
  app.use((request, response, next) => {
    if (request.get('authorization') !== undefined) next()
    else response.status(401).set('connection', 'close').send('who are you?\n')
  })
  app.post('/', express.json({ limit: '20mb' }), (request, response) => response.json(request.body))
  return app
}

async function main() {
  const server = application().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const tuning = tuneServer(server, { settings: deadPeerDetection(30), close: 'lingering' })
  const { port } = server.address()
  console.log(await tuning.applied)

  const hello = await (await fetch(`http://127.0.0.1:${port}/`)).text()
  const answer = await upload(port)
  console.log(answer)
  server.close()
  // The input is discarded until both clients have finished.
  while (tuning.counters().lingering > 0) await pause(10)
  const { closes, unreadBytes } = tuning.counters()
  console.log('closed with mode lingering', closes.lingering, '- bytes not read', unreadBytes)

  const isTuned = Object.values(tuning.report).every(({ status }) => status === 'applied')
  const hasArrived = answer.startsWith('HTTP/1.1 401') && answer.endsWith('who are you?\n')
  if (!isTuned || !hasArrived || unreadBytes === 0 || hello !== 'hello\n') process.exitCode = 1
}

/** Reads the answer only after everything is written. */
async function upload(port) {
  const client = net.connect(port, '127.0.0.1').pause().setEncoding('utf8')
  let answer = ''
  client.on('data', (text) => (answer += text))
  client.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\r\n')
  client.write(Buffer.alloc(20_000_000), () => client.resume())
  await once(client, 'close')
  return answer
}

void main()

'use strict'

// An agent that reuses its connections, and one that opens a connection for each request and leaves no TIME_WAIT.
const http = require('node:http')
const net = require('node:net')
const { readFileSync } = require('node:fs')
const { once } = require('node:events')
const { TunedAgent } = require('socket-tuner/http')

const REQUESTS = 200

function ask(port, agent) {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, agent }, (response) => response.resume())
    request.on('error', reject)
    // 'close' is emitted when the answer is complete and the connection is free or closed.
    request.on('close', resolve)
  })
}

/** Counts the connections to a port that are in TIME_WAIT on this side. */
function timeWaits(port) {
  const [remote, state] = [port.toString(16).toUpperCase().padStart(4, '0'), '06']
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n')
  const sockets = lines
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => {
      return fields[2]?.endsWith(`:${remote}`) && fields[3] === state
    })
  return new Set(sockets.map((fields) => fields[1]))
}

async function reuse() {
  const server = http.createServer((request, response) => response.end('answer'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const agent = new TunedAgent({ settings: { TCP_USER_TIMEOUT: 10_000 } })
  for (let i = 0; i < REQUESTS; i++) await ask(server.address().port, agent)
  console.log(`${REQUESTS} requests with keep-alive:`, agent.counters())
  agent.destroy()
  server.close()
  return agent.counters().created === 1
}

async function oneEach() {
  // The server lets the client close first, so that TIME_WAIT would be at the client.
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer'
  const ends = []
  const server = net.createServer((peer) => {
    ends.push(once(peer, 'close'))
    peer.on('data', () => peer.write(answer))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()

  const left = {}
  for (const [name, agent] of [
    ['http.Agent', new http.Agent({ keepAlive: false })],
    ['TunedAgent', new TunedAgent({ keepAlive: false })],
  ]) {
    const before = timeWaits(port)
    for (let i = 0; i < REQUESTS; i++) await ask(port, agent)
    await Promise.all(ends)
    left[name] = [...timeWaits(port)].filter((end) => !before.has(end)).length
  }
  console.log(`TIME_WAIT after ${REQUESTS} requests without:`, left)
  server.close()
  return left.TunedAgent === 0
}

async function main() {
  const asExpected = [await reuse(), process.platform !== 'linux' || (await oneEach())]
  if (asExpected.includes(false)) process.exitCode = 1
}

void main()

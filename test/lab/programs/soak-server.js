'use strict'

/** Answers requests, and can be restarted on the same port while connections are open. */
const net = require('node:net')
const { once } = require('node:events')
const { tuneServer } = require('../../../dist')
const { ANSWER, REQUEST } = require('./sizes')
const { names } = require('./soak-kinds')
const { resources } = require('./soak-resources')
const { count, ready } = require('./parent')

const answer = Buffer.alloc(ANSWER, 'a')
const seen = { served: {}, bytes: {}, ends: 0, open: 0, errors: {}, restarts: 0, discardedBytes: 0 }

let server
let tuning

function serve(socket) {
  let received = 0
  let kind
  seen.open++
  socket.on('data', (chunk) => {
    kind ??= names[chunk[0]]
    const wasComplete = received >= REQUEST
    received += chunk.length
    if (!wasComplete && received >= REQUEST) answerTo(kind, socket)
  })
  socket.on('end', () => seen.ends++)
  socket.on('error', ({ code }) => count(seen.errors, code))
  socket.on('close', () => {
    seen.open--
    if (kind === undefined) return
    count(seen.served, kind)
    seen.bytes[kind] = (seen.bytes[kind] ?? 0) + received
  })
}

function answerTo(kind, socket) {
  if (kind === 'refused') {
    socket.resetAndDestroy()
    return
  }
  socket.write(answer)
  if (kind === 'server') socket.destroySoon()
}

async function listen(port) {
  server = net.createServer(serve)
  server.listen({ host: '127.0.0.1', port, backlog: 4096 })
  await once(server, 'listening')
  tuning = tuneServer(server, { settings: { TCP_NODELAY: true }, close: 'deliver' })
  return server.address().port
}

async function restart() {
  const { port } = server.address()
  seen.discardedBytes += tuning.counters().discardedBytes
  // Open connections continue.
  server.close()
  await listen(port)
  seen.restarts++
}

listen(0).then((port) =>
  ready({ port }, { restart, resources, seen: () => ({ ...seen, counters: tuning.counters() }) }),
)

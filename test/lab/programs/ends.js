'use strict'

/** Both ends of connections in one process: listens, connects and closes on request, and counts. */
const { once } = require('node:events')
const net = require('node:net')
const { listen: listenOn } = require('../../../dist')
const { countSockets } = require('../../../dist/ports')
const { config, ready } = require('./parent')

const { host: usual = '127.0.0.1' } = config
const servers = []
const clients = new Set()
const resets = { count: 0 }

/** A server that reads, and closes after its client unless it must keep its end open. */
async function listen({ host = usual, port, keep = false, settings = {} }) {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: keep }, (socket) => {
    socket.on('error', () => undefined)
    if (keep) return
    socket.resume()
    socket.on('end', () => socket.end())
  })
  try {
    await listenOn(server, { host, port, backlog: 1024, settings })
  } catch ({ code }) {
    return { code }
  }
  servers.push(server)
  return { port }
}

function closeServer(index) {
  servers[index].close()
}

async function connect({ host = usual, port, localPort }) {
  const socket = net.connect({ host, port, localPort })
  try {
    await once(socket, 'connect')
  } catch ({ code }) {
    return { code }
  }
  clients.add(socket)
  socket.on('error', ({ code }) => {
    if (code === 'ECONNRESET') resets.count++
  })
  socket.on('close', () => clients.delete(socket))
  return { localPort: socket.localPort }
}

/** Opens `most` connections, or as many as there are ports. Returns their local ports in order. */
async function fill({ most = 1_000, ...target }) {
  const ports = []
  while (ports.length < most) {
    const { localPort } = await connect(target)
    if (localPort === undefined) break
    ports.push(localPort)
  }
  return ports
}

/** Closes the clients first. */
async function closeClients() {
  const closed = [...clients].map((socket) => {
    const end = once(socket, 'close')
    socket.resume()
    socket.end()
    return end
  })
  await Promise.all(closed)
}

/** Closes the clients but not their servers. */
function leaveClients() {
  for (const socket of clients) socket.destroy()
}

const census = (options) => countSockets(options)

ready(
  {},
  { listen, closeServer, connect, fill, closeClients, leaveClients, census, resets: () => resets },
)

'use strict'

/** Prints the connections that end: what they moved, and which end closed them. */
const net = require('node:net')
const { once } = require('node:events')
const { watchConnections } = require('socket-tuner/ports')

const CONNECTIONS = 10

async function main() {
  const server = net.createServer((socket) => socket.resume().write('welcome'))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address()
  let seen = 0
  const watch = watchConnections({
    filter: { remotePort: port },
    onConnection({ localPort, bytesReceived, minRttMicroseconds, end, closedBy }) {
      console.log(
        `${localPort}: ${bytesReceived} bytes, ${minRttMicroseconds} µs, ${end}, ${closedBy}`,
      )
      // The client closed first, so its TIME_WAIT is here, unless the kernel has too many entries.
      if (end !== 'fin' || closedBy === 'peer') process.exitCode = 1
      if (++seen === CONNECTIONS) watch.stop()
    },
  })

  for (let i = 0; i < CONNECTIONS; i++) {
    const socket = net.connect(port, '127.0.0.1')
    await once(socket, 'data')
    socket.resume().end()
    await once(socket, 'close')
  }

  await watch.ended
  console.log(watch.counters())
  server.close()
}

void main()

'use strict'

/** Reports how many ports are free for one destination, and how many are in TIME_WAIT. */
const net = require('node:net')
const { once } = require('node:events')
const { portBudget, countSockets, watchPorts } = require('socket-tuner/ports')

// A loopback address that only this program uses, so that only its own sockets are counted.
const host = '127.0.0.24'
const CONNECTIONS = 50

async function main() {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.resume().on('end', () => socket.end())
  })
  await once(server.listen(0, host), 'listening')
  const { port } = server.address()
  const destination = { remoteAddress: host, remotePort: port }

  const before = await portBudget(destination)
  console.log(`${before.available} of ${before.ports} ports to ${host}:${port} can be taken`)
  const watch = watchPorts({ destinations: [destination], intervalMs: 50 })

  for (let i = 0; i < CONNECTIONS; i++) {
    const socket = net.connect(port, host)
    await once(socket, 'connect')
    socket.resume().end()
    await once(socket, 'close')
  }

  // The client closed first with a FIN, so each connection left TIME_WAIT here.
  let report
  for await (report of watch) if (report.timeWait === CONNECTIONS) break
  console.log(`${report.timeWait} in TIME_WAIT, ${report.rate.toFixed(0)} connections/s`)
  console.log(`connect() took ${report.connectMicroseconds?.toFixed(0) ?? '-'} µs`)
  const { total } = await countSockets({ states: ['TIME_WAIT'], ...destination })
  console.log(`the census counts ${total} towards the destination`)
  server.close()
  if (total !== CONNECTIONS || report.used !== CONNECTIONS) process.exitCode = 1
}

void main()

'use strict'

// Options that are set before connect(2) on every attempt, from a chosen source address.
const net = require('node:net')
const { once } = require('node:events')
const { connect, getOption } = require('socket-tuner')

async function main() {
  const server = net.createServer((peer) => peer.end('answer\n')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()

  const socket = connect({
    host: 'localhost',
    port,
    settings: { TCP_MAXSEG: 1_000, SO_RCVBUF: 65_536, TCP_USER_TIMEOUT: 30_000 },
    close: 'deliver',
  })
  await once(socket, 'connect')
  const segment = getOption(socket, 'TCP_MAXSEG')
  console.log(`from ${socket.localAddress}, segments of at most ${segment} bytes`)
  socket.setEncoding('utf8').on('data', (text) => console.log(text.trim()))
  await once(socket, 'close')

  // An error message names the cause and the fix.
  const refused = connect({ host: '127.0.0.1', port, localAddress: '192.0.2.1' })
  const error = await new Promise((resolve) => refused.on('error', resolve))
  console.log(error.code, '-', error.message)
  server.close()
  if (segment > 1_000 || error.code !== 'EADDRNOTAVAIL') process.exitCode = 1
}

void main()

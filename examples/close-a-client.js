'use strict'

// A client closes after its answer without leaving TIME_WAIT and without losing a byte.
const net = require('node:net')
const { once } = require('node:events')
const { closeSocket, tune, profiles } = require('socket-tuner')

async function main() {
  const server = net.createServer((peer) => peer.on('data', (chunk) => peer.write(chunk)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const socket = net.connect(server.address().port, '127.0.0.1')
  await once(socket, 'connect')
  tune(socket, profiles.stressClient)
  socket.write('question')
  await once(socket, 'data')

  const report = await closeSocket(socket, 'deliver')
  console.log(report)
  server.close()
  if (report.timeWait !== 'avoided' && process.platform === 'linux') process.exitCode = 1
}

void main()

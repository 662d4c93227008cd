'use strict'

// A transfer stalls because the peer does not read. Each end explains why. Linux.
const net = require('node:net')
const { once } = require('node:events')
const { setTimeout: delay } = require('node:timers/promises')
const { explainConnection } = require('socket-tuner')

async function main() {
  if (process.platform !== 'linux') return
  const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = net.connect(server.address().port, '127.0.0.1')
  const [[accepted]] = await Promise.all([once(server, 'connection'), once(socket, 'connect')])

  socket.write(Buffer.alloc(32 << 20))
  const since = explainConnection(socket)
  let explained
  do {
    await delay(200)
    explained = explainConnection(socket, { since })
  } while (explained.sending.limitedBy !== 'peer-window')
  console.log('sender:  ', explained.text)
  console.log('receiver:', explainConnection(accepted).text)

  socket.destroy()
  accepted.destroy()
  server.close()
}

void main()

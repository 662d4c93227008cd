'use strict'

// One raw socket becomes the listening socket of a server, and another one a client.
const http = require('node:http')
const { once } = require('node:events')
const { RawSocket, getOption } = require('socket-tuner')

async function main() {
  const listener = RawSocket.open('IPv4', { SO_REUSEPORT: true, SO_RCVBUF: 65_536 })
  listener.bind({ address: '127.0.0.1' })
  const server = http.createServer((request, response) => response.end('answer\n'))
  const { port } = await listener.listenOn(server, { backlog: 1024 })
  console.log(`listening on ${port}, SO_REUSEPORT ${getOption(server, 'SO_REUSEPORT')}`)

  const raw = RawSocket.open('IPv4', { TCP_MAXSEG: 1_000 })
  const socket = raw.connect({ host: '127.0.0.1', port })
  socket.setEncoding('utf8').end('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  let answer = ''
  socket.on('data', (text) => (answer += text))
  await once(socket, 'close')
  console.log(answer.split('\r\n')[0])
  server.close()

  try {
    console.log(raw.fd)
  } catch ({ code }) {
    console.log(code) // The descriptor already belonged to the net.Socket.
    if (code !== 'ERR_SOCKET_TUNER_HANDED_OVER') process.exitCode = 1
  }
  if (!answer.startsWith('HTTP/1.1 200')) process.exitCode = 1
}

void main()

'use strict'

/** An HTTP server that never closes a connection first, whatever the request says. */
const net = require('node:net')
const { config, count, ready } = require('./parent')

const { host = '127.0.0.1', port = 0 } = config
const answer = `HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${'b'.repeat(1000)}`
const seen = { connections: 0, requests: 0, ends: 0, closed: 0, errors: {} }

const server = net.createServer((socket) => {
  seen.connections++
  let head = ''
  socket.setEncoding('latin1')
  socket.on('data', (text) => {
    head += text
    for (let end; (end = head.indexOf('\r\n\r\n')) >= 0; head = head.slice(end + 4)) {
      seen.requests++
      socket.write(answer)
    }
  })
  socket.on('end', () => seen.ends++)
  socket.on('error', ({ code }) => count(seen.errors, code))
  socket.on('close', () => seen.closed++)
})

server.listen({ host, port, backlog: 4096 }, () => {
  ready({ port: server.address().port }, { seen: () => seen })
})

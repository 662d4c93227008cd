'use strict'

/**
 * An HTTP or HTTPS server that closes seemingly idle connections at random times after an answer, by a FIN or by a RST.
 * It answers every request that it has received.
 */
const net = require('node:net')
const tls = require('node:tls')
const { closeSocket } = require('../../../dist')
const { config, count, ready } = require('./parent')

const { host = '127.0.0.1', tls: certificate, withinMs } = config
const seen = { connections: 0, requests: 0, closedByFin: 0, closedByReset: 0, ids: {} }

function answer(socket, head) {
  seen.requests++
  const [, id] = /^(?:once)?POST \/(\w+)/.exec(head) ?? []
  if (id !== undefined) count(seen.ids, id)
  socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
}

function close(socket) {
  if (Math.random() < 0.5) {
    seen.closedByFin++
    socket.destroy()
  } else {
    seen.closedByReset++
    if (certificate) void closeSocket(socket, 'reset')
    else socket.resetAndDestroy()
  }
}

function accept(socket) {
  seen.connections++
  let head = ''
  let timer
  socket.setEncoding('latin1')
  socket.on('error', () => {})
  socket.on('close', () => clearTimeout(timer))
  socket.on('data', (text) => {
    head += text
    for (let end; (end = head.indexOf('\r\n\r\n')) >= 0; head = head.slice(end + 4)) {
      clearTimeout(timer)
      answer(socket, head)
      if (Math.random() < 0.5) timer = setTimeout(close, Math.random() * withinMs, socket)
    }
  })
}

const server = certificate ? tls.createServer(certificate, accept) : net.createServer(accept)

server.listen({ host, port: 0, backlog: 4096 }, () => {
  ready({ port: server.address().port }, { seen: () => seen })
})

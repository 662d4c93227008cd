'use strict'

/** Answers once the first bytes of an upload arrive, and closes. */
const net = require('node:net')
const { closeSocket, setCloseMode } = require('../../../dist')
const { ANSWER } = require('./sizes')
const { config, count, ready, warnings } = require('./parent')

const { host = '127.0.0.1', way, options } = config
const seen = { connections: 0, bytesRead: 0, reports: [], errors: {}, warnings }

const ways = {
  closeSocket: async (socket) => seen.reports.push(await closeSocket(socket, options)),
  destroySoon: (socket) => socket.destroySoon(),
}

const server = net.createServer((socket) => {
  seen.connections++
  if (way !== 'closeSocket' && options) setCloseMode(socket, options)
  socket.once('data', ({ length }) => {
    seen.bytesRead += length
    socket.write(Buffer.alloc(ANSWER, 'a'))
    ways[way](socket)
  })
  socket.on('error', ({ code }) => count(seen.errors, code))
})

server.listen({ host, port: 0, backlog: 4096 }, () => {
  ready({ port: server.address().port }, { seen: () => seen })
})

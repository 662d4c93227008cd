'use strict'

/** Answers HTTP requests, each on a connection that it then closes, and echoes WebSocket messages. */
const http = require('node:http')
const { WebSocketServer } = require('ws')
const { tuneServer } = require('../../../dist')
const { config, count, ready, warnings } = require('./parent')

const { close } = config
const body = Buffer.alloc(1000, 'b')
const seen = { requests: 0, messages: 0, ended: 0, errors: {}, warnings }

const server = http.createServer((request, response) => {
  seen.requests++
  response.end(body)
})
const tuning = close && tuneServer(server, { close })

new WebSocketServer({ server }).on('connection', (socket) => {
  socket.on('message', (message) => {
    seen.messages++
    socket.send(message)
  })
  socket.on('error', ({ code }) => count(seen.errors, code))
  socket.on('close', (code) => {
    seen.ended++
    if (code !== 1000) count(seen.errors, `closed with ${code}`)
  })
})

server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  ready(
    { port: server.address().port },
    { seen: () => ({ ...seen, counters: tuning?.counters() }) },
  )
})

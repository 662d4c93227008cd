'use strict'

/** An http server in a worker of node:cluster, without any reference to socket-tuner. */
const cluster = require('node:cluster')
const http = require('node:http')
const { ready } = require('./parent')

if (cluster.isPrimary) {
  const worker = cluster.fork()
  const seen = () =>
    new Promise((resolve) => {
      worker.once('message', resolve)
      worker.send('seen')
    })
  worker.once('message', (about) => ready(about, { seen }))
} else {
  const body = Buffer.alloc(1000, 'b')
  const seen = { connections: 0, closed: 0, errors: {}, warnings: [] }
  const server = http.createServer((request, response) => response.end(body))
  server.on('connection', (socket) => {
    seen.connections++
    socket.on('close', () => seen.closed++)
  })
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
  process.on('warning', ({ code }) => seen.warnings.push(code))
  process.on('message', () => process.send(seen))
}

'use strict'

/** An http server in a cluster worker, with close mode 'deliver' as far as it is supported there. */
const cluster = require('node:cluster')
const http = require('node:http')
const { setOption, tuneServer } = require('../../../dist')
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
  const seen = { connections: 0, closed: 0 }
  const server = http.createServer((_request, response) => response.end(body))
  server.on('connection', (socket) => {
    seen.connections++
    socket.on('close', () => seen.closed++)
  })
  const tuning = tuneServer(server, { close: 'deliver' })
  server.listen({ host: '127.0.0.1', port: 0 }, async () => {
    const refusals = {
      setOption: await refusalOf(() => setOption(server, 'SO_KEEPALIVE', true)),
      tuneServer: await refusalOf(
        () => tuneServer(server, { settings: { SO_KEEPALIVE: true } }).applied,
      ),
    }
    process.send({ port: server.address().port, refusals })
  })
  process.on('message', () => process.send({ ...seen, counters: tuning.counters() }))
}

async function refusalOf(call) {
  try {
    await call()
    return undefined
  } catch ({ code }) {
    return code
  }
}

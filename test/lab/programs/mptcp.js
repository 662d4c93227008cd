'use strict'

/** A server and a client of one process, both with `mptcp: true`. */
const { once } = require('node:events')
const net = require('node:net')
const { connect, getOption, listen } = require('../../../dist')
const { ready, warnings } = require('./parent')

async function run() {
  const server = net.createServer((socket) => socket.pipe(socket))
  const { port } = await listen(server, { host: '127.0.0.1', mptcp: true })
  const client = connect({ port, host: '127.0.0.1', mptcp: true })
  client.write('hello')
  const [chunk] = await once(client, 'data')
  const protocols = {
    server: getOption(server, 'SO_PROTOCOL'),
    client: getOption(client, 'SO_PROTOCOL'),
  }
  client.destroy()
  server.close()
  return { echo: String(chunk), protocols, warnings }
}

ready({}, { run })

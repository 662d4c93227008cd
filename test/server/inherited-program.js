'use strict'

/** Serves one connection on the listening socket that it inherited as descriptor 3. */
const net = require('node:net')
const { listen } = require('../../dist')

const server = net.createServer((socket) => {
  socket.end('served by a child')
  server.close()
})

listen(server, { fd: 3 }).then((address) => process.stdout.write(JSON.stringify(address)))

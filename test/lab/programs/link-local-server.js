'use strict'

/** Reports both addresses of the connection to each client over HTTP. */
const http = require('node:http')
const { listen } = require('../../../dist')
const { config, ready } = require('./parent')

const server = http.createServer(({ socket }, response) => {
  response.end(JSON.stringify({ local: socket.localAddress, remote: socket.remoteAddress }))
})

listen(server, { host: config.host, port: 0 }).then((address) => ready(address))

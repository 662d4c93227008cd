'use strict'

/** A target for load tests, which answers on port 8080 of 127.0.0.1 and never closes first. */
const http = require('node:http')

const server = http.createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  response.end('hello\n')
})
server.listen(8080, '127.0.0.1', 4096)

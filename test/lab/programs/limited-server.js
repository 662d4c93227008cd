'use strict'

/** An http server with connection limits that shuts down on request. */
const http = require('node:http')
const { tuneServer } = require('../../../dist')
const { config, ready } = require('./parent')

const { host, port = 0, ...limits } = config

const server = http.createServer({ keepAliveTimeout: 3_600_000 }, (_request, response) => {
  response.end(JSON.stringify({ pid: process.pid }))
})

const tuning = tuneServer(server, limits)

server.listen({ host, port, backlog: 4096 }, () => {
  ready(
    { port: server.address().port },
    {
      counters: () => tuning.counters(),
      shutdown: (options) => tuning.shutdown(options),
    },
  )
})

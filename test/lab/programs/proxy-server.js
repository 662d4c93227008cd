'use strict'

/** http-proxy in front of a server: forwards requests on new connections, and WebSockets. */
const http = require('node:http')
const httpProxy = require('http-proxy')
const { tuneServer } = require('../../../dist')
const { TunedAgent } = require('../../../dist/clients/http')
const { config, count, ready, warnings } = require('./parent')

const { target, close } = config
const seen = { errors: {}, warnings }

const agent = new TunedAgent({ keepAlive: false, close })
const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${target}`, agent })
proxy.on('error', ({ code }) => count(seen.errors, code))

const server = http.createServer((request, response) => proxy.web(request, response))
server.on('upgrade', (request, socket, head) => proxy.ws(request, socket, head))
const tuning = tuneServer(server, { close })

server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  ready({ port: server.address().port }, { seen: () => ({ ...seen, counters: tuning.counters() }) })
})

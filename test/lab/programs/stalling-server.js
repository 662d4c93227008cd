'use strict'

/** An HTTP server that answers at once, except that it holds all answers for `stallMs` after request number `after`. */
const http = require('node:http')
const { config, ready } = require('./parent')

const { after, stallMs } = config
const held = []
let requests = 0
let isStalled = false

const server = http.createServer((_request, response) => {
  if (++requests === after) {
    isStalled = true
    setTimeout(() => {
      isStalled = false
      for (const each of held.splice(0)) each.end('late')
    }, stallMs)
  }
  if (isStalled) held.push(response)
  else response.end('soon')
})

server.listen({ host: '127.0.0.1', port: 0 }, () => {
  ready({ port: server.address().port }, { seen: () => ({ requests }) })
})

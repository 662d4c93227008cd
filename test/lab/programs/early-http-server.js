'use strict'

/** Answers each upload with 413 once its head has arrived: by answerEarly(), by a close mode, or as Node does. */
const { readdirSync } = require('node:fs')
const http = require('node:http')
const https = require('node:https')
const { answerEarly, tuneServer } = require('../../../dist')
const { collectAll, ownMemory } = require('./collect')
const { config, count, ready, warnings } = require('./parent')

const { tls: certificate, way, options = {} } = config
const body = Buffer.alloc(1000, 'b')
const seen = { requests: 0, ends: {}, unreadBytes: 0, errors: {}, warnings }

async function answer(request, response) {
  seen.requests++
  if (way === 'answerEarly') {
    const { end, unreadBytes, fallback } = await answerEarly(request, response, {
      status: 413,
      body,
      ...options,
    })
    count(seen.ends, fallback ? `${end}: ${fallback.message}` : end)
    seen.unreadBytes += unreadBytes
    return
  }
  response.writeHead(413, { connection: 'close', 'content-length': body.length }).end(body)
}

const server = certificate ? https.createServer(certificate, answer) : http.createServer(answer)
const tuning =
  way === 'standing' ? tuneServer(server, { close: { mode: 'lingering', ...options } }) : undefined
server.on('clientError', ({ code }, socket) => {
  count(seen.errors, code)
  socket.destroy()
})
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  ready(
    { port: server.address().port },
    {
      seen: () => ({
        ...seen,
        counters: tuning?.counters(),
        descriptors: readdirSync('/proc/self/fd').length,
      }),
      memory: async () => {
        await collectAll()
        return { heap: process.memoryUsage().heapUsed, all: ownMemory() }
      },
    },
  )
})

'use strict'

/** Opens WebSockets, one after another in each lane: a message, its echo, the closing handshake. */
const { WebSocket } = require('ws')
const { connect } = require('../../../dist')
const { inLanes } = require('./lanes')
const { config, count, ready } = require('./parent')

const { port, connections, atATime, close, stopAfterMs = 200_000 } = config
const message = Buffer.alloc(2_000, 'm')
const seen = { echoed: 0, closed: 0, errors: {} }

function converse() {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, {
      perMessageDeflate: false,
      createConnection: (options) => connect({ ...options, path: undefined, close }),
    })
    socket.on('open', () => socket.send(message))
    socket.on('message', (echo) => {
      if (message.equals(echo)) seen.echoed++
      socket.close(1000)
    })
    socket.on('error', ({ code }) => count(seen.errors, code))
    socket.on('close', (code) => {
      if (code === 1000) seen.closed++
      else count(seen.errors, `closed with ${code}`)
      resolve()
    })
  })
}

async function run() {
  await inLanes({ atATime, times: connections, stopAfterMs }, converse)
  return seen
}

ready({}, { run })

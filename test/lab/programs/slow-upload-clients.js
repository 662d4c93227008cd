'use strict'

/** Many clients that start an upload, and neither finish it nor close. */
const net = require('node:net')
const { inLanes } = require('./lanes')
const { config, ready } = require('./parent')

const { port, clients } = config
const head = 'PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n'
const seen = { opened: 0 }

function open() {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    socket.on('error', resolve)
    socket.once('connect', () => {
      seen.opened++
      socket.write(head)
      socket.once('data', resolve)
    })
  })
}

async function run() {
  await inLanes({ atATime: 50, times: clients }, open)
  return seen
}

ready({}, { run })

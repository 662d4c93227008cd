'use strict'

/** Holds connections with fixed local ports, in sequence from `firstPort`. */
const { once } = require('node:events')
const net = require('node:net')
const { config, ready } = require('./parent')

const { host = '127.0.0.1', port, firstPort, count } = config

async function run() {
  for (let at = 0; at < count; at++) {
    const socket = net.connect({ host, port, localPort: firstPort + at })
    await once(socket, 'connect')
  }
  return { made: count }
}

ready({}, { run })

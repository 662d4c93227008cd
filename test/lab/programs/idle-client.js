'use strict'

/** Makes one request on each of its connections, and waits until the server closes them. */
const net = require('node:net')
const { config, count, ready } = require('./parent')

const { host = '127.0.0.1', port, connections } = config
const seen = { ends: 0, errors: {} }

function askOnce() {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port })
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    socket.resume()
    socket.on('end', () => seen.ends++)
    socket.on('error', ({ code }) => count(seen.errors, code))
    socket.on('close', resolve)
  })
}

async function run() {
  await Promise.all(Array.from({ length: connections }, askOnce))
  return seen
}

ready({}, { run })

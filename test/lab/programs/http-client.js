'use strict'

/** Makes many requests, each on its own connection, and reads until the server closes it. */
const net = require('node:net')
const tls = require('node:tls')
const { inLanes } = require('./lanes')
const { config, count, ready } = require('./parent')

const { host = '127.0.0.1', port, requests, atATime, ca, stopAfterMs = 200_000 } = config
const request = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
const seen = { answered: 0, ends: 0, errors: {} }

function ask() {
  return new Promise((resolve) => {
    let answer = ''
    const socket = ca
      ? tls.connect({ host, port, ca, servername: 'localhost' })
      : net.connect({ host, port })
    socket.setEncoding('latin1')
    socket.write(request)
    socket.on('data', (text) => (answer += text))
    socket.on('end', () => seen.ends++)
    socket.on('error', ({ code }) => count(seen.errors, code))
    socket.on('close', () => {
      const [head, body] = answer.split('\r\n\r\n')
      if (head.startsWith('HTTP/1.1 200 OK') && body?.length === 1000) seen.answered++
      resolve()
    })
  })
}

async function run() {
  await inLanes({ atATime, times: requests, stopAfterMs }, ask)
  return seen
}

ready({}, { run })

'use strict'

/** Uploads, and reads the answer only after it has written everything or failed. */
const net = require('node:net')
const { inLanes } = require('./lanes')
const { config, count, ready } = require('./parent')

const { host = '127.0.0.1', port, uploads, atATime, bytes } = config
const payload = Buffer.alloc(bytes, 'u')
/** The number of answers by their length. */
const seen = { answers: {}, errors: {} }

function upload() {
  return new Promise((resolve) => {
    let answer = 0
    const socket = net.connect({ host, port }).pause()
    socket.write(payload, () => socket.resume())
    socket.on('data', ({ length }) => (answer += length))
    socket.on('error', ({ code }) => count(seen.errors, code))
    socket.on('close', () => {
      count(seen.answers, answer)
      resolve()
    })
  })
}

async function run() {
  await inLanes({ atATime, times: uploads }, upload)
  return seen
}

ready({}, { run })

'use strict'

/** Uploads, and does not read the answer before it has written everything or failed to. */
const net = require('node:net')
const { config, count, ready } = require('./parent')

const { host = '127.0.0.1', port, uploads, atATime, bytes } = config
const payload = Buffer.alloc(bytes, 'u')
/** How many answers of which length there were. */
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
  let begun = 0
  const lane = async () => {
    while (begun++ < uploads) await upload()
  }
  await Promise.all(Array.from({ length: atATime }, lane))
  return seen
}

ready({}, { run })

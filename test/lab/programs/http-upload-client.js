'use strict'

/** Uploads as fast as it can, and reads the answer only after it has written everything or failed. */
const net = require('node:net')
const tls = require('node:tls')
const { inLanes } = require('./lanes')
const { config, count, ready } = require('./parent')

const { port, uploads, atATime, bytes, ca } = config
const head = `PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${bytes}\r\n\r\n`
const payload = Buffer.concat([Buffer.from(head), Buffer.alloc(bytes, 'u')])
const seen = { whole: 0, cut: 0, errors: {} }

function open() {
  const options = { host: '127.0.0.1', port }
  if (ca) return tls.connect({ ...options, ca, servername: 'localhost' })
  return net.connect(options)
}

function upload() {
  return new Promise((resolve) => {
    let answer = ''
    const socket = open().pause().setEncoding('latin1')
    socket.once(ca ? 'secureConnect' : 'connect', () => {
      socket.write(payload, () => socket.resume())
    })
    socket.on('data', (text) => (answer += text))
    socket.on('error', ({ code }) => count(seen.errors, code))
    socket.on('close', () => {
      const [status, body] = answer.split('\r\n\r\n')
      if (status.startsWith('HTTP/1.1 413') && body?.length === 1000) seen.whole++
      else seen.cut++
      resolve()
    })
  })
}

async function run() {
  await inLanes({ atATime, times: uploads }, upload)
  return seen
}

ready({}, { run })

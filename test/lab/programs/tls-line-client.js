'use strict'

/** Sends a line over TLS, waits for the answer, and closes, on one connection after another. */
const tls = require('node:tls')
const { closeSocket } = require('../../../dist')
const { config, ready } = require('./parent')

const { port, ca, connections, options } = config

function connectAndClose() {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, ca, servername: 'localhost' })
    socket.on('secureConnect', () => socket.write('socket\n'))
    socket.on('data', () => closeSocket(socket, options).then(resolve, reject))
    socket.on('error', reject)
  })
}

async function run() {
  const reports = []
  while (reports.length < connections) reports.push(await connectAndClose())
  return reports
}

ready({}, { run })

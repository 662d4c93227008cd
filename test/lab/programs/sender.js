'use strict'

/** Writes to each of its connections and closes it at once, `atATime` in parallel. */
const net = require('node:net')
const { closeSocket } = require('../../../dist')
const { inLanes } = require('./lanes')
const { config, ready, warnings } = require('./parent')

const { host, port, connections, atATime, bytes, fewerEach = 0, options } = config

/** The first byte of each connection is its number. */
function send(client) {
  return new Promise((resolve, reject) => {
    const length = bytes - client * fewerEach
    const socket = net.connect({ host, port }, async () => {
      socket.write(Buffer.alloc(length, client))
      resolve({ client, written: length, report: await closeSocket(socket, options) })
    })
    socket.on('error', reject)
  })
}

async function run() {
  const sent = []
  await inLanes({ atATime, times: connections }, async (nth) => {
    sent.push(await send(nth))
  })
  return { sent, warnings }
}

ready({}, { run })

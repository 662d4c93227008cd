'use strict'

/** Connects once for each request, reports the outcome, and leaves the connection open. */
const { once } = require('node:events')
const { connect, getOption, tcpInfo } = require('../../../dist')
const { config, ready } = require('./parent')

const { port } = config
let last
const told = [
  'lookup',
  'connectionAttempt',
  'connectionAttemptFailed',
  'connectionAttemptTimeout',
  'connect',
]

function lookupOf(addresses) {
  return (host, options, callback) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: 4 })),
    )
}

async function open({ host = '127.0.0.1', addresses, write, read = [], ...options }) {
  const lookup = addresses && lookupOf(addresses)
  const events = []
  const socket = connect({ host, port, ...options, ...(lookup ? { lookup } : {}) })
  for (const event of told) {
    socket.on(event, (...details) => {
      const address = event === 'lookup' ? details[1] : details[0]
      events.push([event, address].filter(Boolean).join(' '))
    })
  }
  last = socket
  await once(socket, 'connect')
  if (write) {
    await new Promise((resolve) => socket.write(write, resolve))
    await acknowledged(socket)
  }
  const { options: negotiated, sndMss, sndWscale } = tcpInfo(socket)
  return {
    sndMss,
    sndWscale,
    synData: negotiated.synData,
    localAddress: socket.localAddress,
    remoteAddress: socket.remoteAddress,
    read: Object.fromEntries(read.map((name) => [name, getOption(socket, name)])),
    events,
  }
}

async function acknowledged(socket) {
  const end = performance.now() + 10_000
  while (tcpInfo(socket).unacked > 0 || tcpInfo(socket).state !== 'ESTABLISHED') {
    if (performance.now() > end) throw new Error('not acknowledged')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Acts on the most recent connection. */
async function write(text) {
  await new Promise((resolve) => last.write(text, resolve))
}

ready({}, { connect: open, write })

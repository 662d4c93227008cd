'use strict'

/** Connections to an echo server whose options are set at any time. Reports their state in the kernel. */
const dgram = require('node:dgram')
const { once } = require('node:events')
const { configure, connect, tcpInfo, tune } = require('../../../dist')
const { config, ready } = require('./parent')

configure({ hazards: 'ignore' })
let last

/** Opens a connection and counts the echoed bytes. */
function begin({ host = config.host, port = config.port, settings = {} } = {}) {
  const socket = connect({ host, port, settings })
  last = { socket, answered: 0, error: undefined }
  const current = last
  socket.on('data', (chunk) => (current.answered += chunk.length))
  socket.on('error', ({ code }) => (current.error = code))
}

async function open(options) {
  begin(options)
  await once(last.socket, 'connect')
}

/** Returns the status that tune() reports for each option. */
function set(settings) {
  const report = tune(last.socket, settings)
  return Object.fromEntries(Object.entries(report).map(([name, { status }]) => [name, status]))
}

function write(text) {
  last.socket.write(text)
}

function state() {
  const { socket, answered, error } = last
  const { retransmits, rtt, sndMss, state } = socket.destroyed ? {} : tcpInfo(socket)
  return { answered, error, retransmits, rtt, sndMss, state }
}

/** Sends one datagram. */
async function datagram({ settings = {} }) {
  const socket = dgram.createSocket('udp4').bind()
  await once(socket, 'listening')
  tune(socket, settings)
  await new Promise((resolve) => socket.send('x', config.port, config.host, resolve))
  socket.close()
}

/** Sets TCP_MD5SIG for one peer. The key is encoded, because messages cannot contain bytes. */
function sign({ address, key }) {
  return set({ TCP_MD5SIG: { address, key: Uint8Array.from(key) } })
}

ready({}, { begin, open, set, sign, write, state, datagram })

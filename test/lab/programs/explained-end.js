'use strict'

/** One end of a connection that explains it. Acts on requests of the test, and reads only on request. */
const net = require('node:net')
const { setTimeout: delay } = require('node:timers/promises')
const { connect, explainConnection, listen } = require('../../../dist')
const { config, ready } = require('./parent')

const { host, port, maxPacingRate } = config
const settings = { ...config.settings }
// JSON has no bigint.
if (maxPacingRate !== undefined) settings.SO_MAX_PACING_RATE = BigInt(maxPacingRate)
const CHUNK = Buffer.alloc(64 << 10)
let socket

function use(connected) {
  socket = connected.pause()
  socket.on('error', () => undefined)
}

function writeAll() {
  while (socket.write(CHUNK));
  socket.once('drain', writeAll)
}

const questions = {
  isConnected: () => socket !== undefined,
  read: () => void socket.resume(),
  echo: () => void socket.pipe(socket),
  /** Writes without an end, as fast as the connection takes it. */
  send: () => void writeAll(),
  write: (bytes) => void socket.write(Buffer.alloc(bytes)),
  /** Writes a little every few milliseconds. */
  trickle: ({ bytes, everyMs }) =>
    void setInterval(() => socket.write(Buffer.alloc(bytes)), everyMs),
  /** Sends a request after each answer. */
  converse: () => {
    socket.on('data', () => socket.write('request')).resume()
    socket.write('request')
  },
  explain: () => explainConnection(socket),
  /** Explains a period that begins now. */
  observe: async (periodMs) => {
    const since = explainConnection(socket)
    await delay(periodMs)
    return explainConnection(socket, { since })
  },
}

if (port === undefined) {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, use)
  listen(server, { host, port: 0, settings }).then((address) =>
    ready({ port: address.port }, questions),
  )
} else {
  use(connect({ host, port, settings, allowHalfOpen: true, noDelay: config.noDelay }))
  socket.once('connect', () => ready({}, questions))
}

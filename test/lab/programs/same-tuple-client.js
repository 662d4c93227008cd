'use strict'

/** Opens connections to one server from one port, one after another. */
const net = require('node:net')
const { once } = require('node:events')
const { closeSocket, tcpInfo } = require('../../../dist')
const { config, ready } = require('./parent')

/** Without `localPort`, the kernel chooses a port from the range of its namespace. */
const { host, port, localPort, surplus } = config

/** The clock of initial sequence numbers in Linux advances by one every 64 ns (net/core/secure_seq.c). */
const CLOCK_PER_MS = 1e6 / 64
/** The lead of the connection over that clock: enough time to close and to connect again. */
const AHEAD_MS = 4_000
const MOST = 1_000_000_000
const CHUNK = Buffer.alloc(16_384, 'o')
/**
 * The most bytes in flight. The ACK of an old segment lags behind its SEQ by this amount. A new connection accepts the
 * segment only if its ACK covers no unsent data and is not older than a window (RFC 5961 section 5).
 */
const UNDER_WAY = 64 * CHUNK.length

let socket
let started
const seen = { bytes: 0, ended: false, closed: false }

async function open() {
  const next = net.connect({ host, port, localPort })
  started = performance.now()
  await once(next, 'connect')
  socket = next
  Object.assign(seen, { bytes: 0, ended: false, closed: false })
  socket.on('data', ({ length }) => (seen.bytes += length))
  socket.on('end', () => (seen.ended = true))
  socket.on('error', ({ code }) => (seen.error = code))
  socket.on('close', () => (seen.closed = true))
}

/** Tries to open a connection. Returns the error code, if any, and the duration. */
async function tryToOpen() {
  const begun = performance.now()
  const code = await open().then(
    () => undefined,
    (error) => error.code,
  )
  return { code, ms: performance.now() - begun }
}

/** Exchanges data until its sequence numbers cover the initial ones of the next connections. */
async function outrunClock() {
  let written = 0
  while (written < (performance.now() - started + AHEAD_MS) * CLOCK_PER_MS) {
    if (written > MOST) throw new Error('slower than the clock of the initial sequence numbers')
    socket.write(CHUNK)
    written += CHUNK.length
    while (written - seen.bytes > UNDER_WAY) await once(socket, 'data')
  }
  while (seen.bytes < written) await once(socket, 'data')
  return { written, ms: performance.now() - started }
}

/** Exchanges data with the echo server, and returns the resulting window sizes. */
async function echo(bytes) {
  const goal = seen.bytes + bytes + surplus
  socket.write(Buffer.alloc(bytes, 'n'))
  while (seen.bytes < goal) await once(socket, 'data')
  const { sndWnd, rcvWnd } = tcpInfo(socket)
  return { send: sndWnd, receive: rcvWnd }
}

ready(
  {},
  {
    open: tryToOpen,
    outrunClock,
    echo,
    close: (options) => closeSocket(socket, options),
    writeAndEnd: (bytes) => void socket.end(Buffer.alloc(bytes, 'n')),
    seen: () => seen,
  },
)

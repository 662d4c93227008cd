'use strict'

/** Connections to one server from one port, one after the other. */
const net = require('node:net')
const { once } = require('node:events')
const { closeSocket, tcpInfo } = require('../../../dist')
const { config, ready } = require('./parent')

/** Without `localPort` the kernel chooses, from the range that its namespace has. */
const { host, port, localPort, surplus } = config

/** Linux counts initial sequence numbers up by one every 64 ns (secure_seq.c), and so many bytes per ms. */
const CLOCK_PER_MS = 1e6 / 64
/** How far the connection gets ahead of that clock: the time to close and to connect again. */
const AHEAD_MS = 4_000
const MOST = 1_000_000_000
const CHUNK = Buffer.alloc(16_384, 'o')
/**
 * What is written ahead of what has come back. An old segment acknowledges so much less of the peer's
 * bytes than it comes after: in a new connection, what was not sent yet must not be acknowledged, nor
 * what is older than a window (RFC 5961 section 5).
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

/** How an attempt to open one ended, and how long it took. */
async function tryToOpen() {
  const begun = performance.now()
  const code = await open().then(
    () => undefined,
    (error) => error.code,
  )
  return { code, ms: performance.now() - begun }
}

/** Has bytes echoed until the sequence numbers of the next connections lie among its own. */
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

/** Has bytes echoed; says how large the windows have become. */
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

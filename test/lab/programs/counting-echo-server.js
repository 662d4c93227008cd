'use strict'

/**
 * Echoes its input, preceded by `surplus` bytes if the connection begins with `n`, and counts each byte value on each
 * connection.
 */
const net = require('node:net')
const { config, ready } = require('./parent')

const { host, port, surplus } = config
const seen = []

const server = net.createServer((socket) => {
  const connection = { bytes: {}, ended: false, closed: false }
  seen.push(connection)
  socket.on('data', (chunk) => {
    if (chunk[0] === 110 && connection.bytes.n === undefined) socket.write(Buffer.alloc(surplus))
    tally(connection.bytes, chunk)
    if (!socket.write(chunk)) socket.pause()
  })
  socket.on('drain', () => socket.resume())
  socket.on('end', () => (connection.ended = true))
  socket.on('error', ({ code }) => (connection.error = code))
  socket.on('close', () => (connection.closed = true))
})

/** Counts whole runs at once, because runs of the same byte are long. */
function tally(counts, chunk) {
  for (let at = 0; at < chunk.length;) {
    const byte = chunk[at]
    const run = chunk.subarray(at).findIndex((other) => other !== byte)
    const length = run < 0 ? chunk.length - at : run
    const letter = String.fromCharCode(byte)
    counts[letter] = (counts[letter] ?? 0) + length
    at += length
  }
}

server.listen({ host, port }, () => ready({ port: server.address().port }, { seen: () => seen }))

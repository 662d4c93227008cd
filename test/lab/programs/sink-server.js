'use strict'

/** Accepts on several ports, reads, closes after the client, and reports the negotiated options. */
const net = require('node:net')
const { getOption, listen, tcpInfo } = require('../../../dist')
const { config, count, ready } = require('./parent')

// Below the ephemeral ports, which the client uses.
const { host = '127.0.0.1', ports = 1, firstPort = 9_001, settings = {} } = config
const LAST = 100
const seen = { connections: 0, closed: 0, bytes: 0, errors: {}, last: [] }

function accept(socket) {
  seen.connections++
  if (seen.last.length < LAST) {
    const { sndMss, sndWscale, options } = tcpInfo(socket)
    const maxSegment = getOption(socket, 'TCP_MAXSEG')
    seen.last.push({ sndMss, sndWscale, maxSegment, synData: options.synData })
  }
  socket.on('data', ({ length }) => (seen.bytes += length))
  socket.on('end', () => socket.destroy())
  socket.on('error', ({ code }) => count(seen.errors, code))
  socket.on('close', () => seen.closed++)
}

async function main() {
  const all = []
  for (let port = firstPort; port < firstPort + ports; port++) {
    const server = net.createServer({ allowHalfOpen: true }, accept)
    await listen(server, { host, port, backlog: 4096, settings })
    all.push(port)
  }
  ready({ port: all[0], ports: all }, { seen: () => seen })
}

void main()

'use strict'

// Several source addresses multiply the ports. On Linux, every address in 127.0.0.0/8 belongs to this host.
const net = require('node:net')
const { once } = require('node:events')
const { SourcePool, connect } = require('socket-tuner')

async function main() {
  const server = net.createServer((peer) => peer.on('error', () => {})).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  const host = '127.0.0.1'
  const source = new SourcePool(
    process.platform === 'linux' ? ['127.0.0.2', '127.0.0.3', '127.0.0.4'] : ['127.0.0.1'],
  )

  const sockets = Array.from({ length: 30 }, () => connect({ host, port, source }))
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  console.table(source.usage(host, port))
  const spread = source.usage(host, port).map(({ open }) => open)
  for (const socket of sockets) socket.destroy()
  server.close()
  if (Math.max(...spread) - Math.min(...spread) > 0) process.exitCode = 1
}

void main()

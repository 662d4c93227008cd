'use strict'

const net = require('node:net')
const { once } = require('node:events')
const { addonFile } = require('./node_modules/socket-tuner/dist/kernel/addon')
const { closeSocket, tcpInfo, tune } = require('socket-tuner')
const { countSockets } = require('socket-tuner/ports')

async function main() {
  const server = net.createServer((socket) => socket.resume()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = net.connect(server.address().port, '127.0.0.1')
  await once(socket.resume(), 'connect')
  const { TCP_KEEPIDLE } = tune(socket, { TCP_KEEPIDLE: 77, SO_KEEPALIVE: true })
  const { state } = tcpInfo(socket)
  const { total } = await countSockets({ states: ['LISTEN'] })
  const { mode } = await closeSocket(socket, 'deliver')
  server.close()
  const right =
    addonFile().includes('linux-x64-musl') &&
    TCP_KEEPIDLE.status === 'applied' &&
    TCP_KEEPIDLE.value === 77 &&
    state === 'ESTABLISHED' &&
    total > 0 &&
    mode === 'deliver'
  if (!right) {
    throw new Error(JSON.stringify({ file: addonFile(), TCP_KEEPIDLE, state, total, mode }))
  }
  console.log('musl:', TCP_KEEPIDLE.status, state, mode, addonFile().slice(-44))
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})

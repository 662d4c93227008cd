'use strict'

const net = require('node:net')
const { once } = require('node:events')
const { closeSocket, describeOption, setOption } = require('socket-tuner')

async function main() {
  const server = net.createServer((socket) => socket.resume()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = net.connect(server.address().port, '127.0.0.1')
  await once(socket.resume(), 'connect')
  let code
  try {
    setOption(socket, 'TCP_USER_TIMEOUT', 5000)
  } catch (error) {
    code = error.code
  }
  const { mode } = await closeSocket(socket)
  server.close()
  if (code !== 'ERR_SOCKET_TUNER_UNSUPPORTED' || mode !== 'fin') {
    throw new Error(JSON.stringify({ code, mode }))
  }
  console.log(process.platform, code, mode, describeOption('TCP_NODELAY').name)
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
